package git

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
)

const (
	// maxURL is the longest URL of a repository, in bytes.
	maxURL = 2048
	// sshUser is who one is at a server where the URL does not say: what all hosts of repositories call it.
	sshUser = "git"
)

// scp is git@host:path, which is ssh://git@host/path, but that the path begins where the server's user is at home; to hosts of repositories, both are one.
var scp = regexp.MustCompile(`^([A-Za-z0-9_][A-Za-z0-9_.-]*)@([A-Za-z0-9.-]+):([^/].*)$`)

// ParseURL takes a repository's URL as people write it: https, ssh, or git@host:path for the latter.
func ParseURL(text string) (*url.URL, error) {
	u, err := ParsePrefix(text)
	if err == nil && strings.Trim(u.Path, "/") == "" {
		return nil, errors.New("names no repository on its host")
	}
	return u, err
}

// ParsePrefix is as ParseURL, for what repositories are below: a host, or a path on one.
func ParsePrefix(text string) (*url.URL, error) {
	if text == "" {
		return nil, errors.New("is missing")
	}
	if len(text) > maxURL {
		return nil, fmt.Errorf("is longer than %d bytes", maxURL)
	}
	m := scp.FindStringSubmatch(text)
	if m != nil {
		text = "ssh://" + m[1] + "@" + m[2] + "/" + m[3]
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("is no URL") // what is wrong with it quotes it, and there may be a password in it
	}
	if m != nil {
		u.Path = strings.TrimPrefix(u.Path, "/")
	}
	if err := check(u); err != nil {
		return nil, err
	}
	if u.Scheme == "ssh" && u.User == nil {
		u.User = url.User(sshUser)
	}
	return u, nil
}

// check tells whether a URL can be asked for a repository.
func check(u *url.URL) error {
	if _, password := u.User.Password(); password || u.Scheme == "https" && u.User != nil {
		return errors.New("holds a name or a password; make source credentials of them, and name those")
	}
	switch {
	case u.Scheme != "https" && u.Scheme != "ssh":
		return errors.New("must begin with https:// or ssh://, or be USER@HOST:PATH")
	case u.Hostname() == "":
		return errors.New("names no host")
	case u.RawQuery != "" || u.Fragment != "":
		return errors.New("has a query or a fragment, which repositories have not")
	case strings.ContainsAny(u.Path, "'\x00\n"):
		return errors.New("has characters in its path that are not for names")
	case strings.HasPrefix(u.Path, "-"):
		return errors.New("has a path that begins with -, as options of programs do")
	}
	return nil
}

// Below tells whether a URL is another one, or a place below it, for the same user.
func Below(top, u *url.URL) bool {
	if u.Scheme != top.Scheme || u.Host != top.Host || u.User.String() != top.User.String() {
		return false
	}
	to := rooted(u)
	return strings.HasPrefix(to+"/", strings.TrimSuffix(rooted(top), "/")+"/") && !strings.Contains(to, "/..")
}

// rooted is a URL's path, from the root.
func rooted(u *url.URL) string { return "/" + strings.TrimPrefix(u.Path, "/") }

// address is the host and port that a URL leads to.
func address(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "ssh": "22"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}
