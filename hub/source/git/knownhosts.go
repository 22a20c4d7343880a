package git

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/skeema/knownhosts"

	"github.com/yardarm-dev/yardarm/hub/source/reach"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// CheckKnownHosts tells whether known hosts can be used for all of these URLs that are for SSH.
func CheckKnownHosts(known []byte, urls []string) error {
	hosts, err := parseKnownHosts(known)
	if err != nil {
		return err
	}
	for _, text := range urls {
		if u, err := ParsePrefix(text); err == nil && u.Scheme == "ssh" && len(hosts.HostKeyAlgorithms(address(u))) == 0 {
			return fmt.Errorf("hold no key of %s (%s)", u.Host, keyscan(u))
		}
	}
	return nil
}

// parseKnownHosts reads what is in the form of OpenSSH's file. The library reads files alone.
func parseKnownHosts(known []byte) (*knownhosts.HostKeyDB, error) {
	file, err := os.CreateTemp("", "known-hosts-")
	if err != nil {
		return nil, fmt.Errorf("read known hosts: %w", err)
	}
	defer os.Remove(file.Name())
	_, err = file.Write(known)
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("read known hosts: %w", err)
	}
	hosts, err := knownhosts.NewDB(file.Name())
	if err != nil { // it names the file, which is gone
		return nil, reach.Failed(yardarmv1.SourceNoCredentials, "the known hosts cannot be read; they are lines as in OpenSSH's known_hosts, as ssh-keyscan prints them")
	}
	return hosts, nil
}

// keyscan says how one gets a server's keys.
func keyscan(u *url.URL) string {
	words := []string{"ssh-keyscan"}
	if port := u.Port(); port != "" {
		words = append(words, "-p", port)
	}
	return fmt.Sprintf("`%s` prints them; compare them with what the server's owner says", strings.Join(append(words, u.Hostname()), " "))
}
