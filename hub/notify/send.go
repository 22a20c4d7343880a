package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"github.com/yardarm-dev/yardarm/hub/local"
	"github.com/yardarm-dev/yardarm/pkg/version"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// What requests carry beside the body.
const (
	// HeaderEvent has the event's id: whoever sees it a second time has it already.
	HeaderEvent = "Yardarm-Event"
	// HeaderTimestamp has when it was sent, in seconds since 1970. It is signed, so that a receiver can refuse what is older than some minutes.
	HeaderTimestamp = "Yardarm-Timestamp"
	// HeaderSignature has "v1=" and, in hexadecimal, HMAC-SHA256 under the secret over the timestamp, a full stop and the body.
	HeaderSignature = "Yardarm-Signature"
)

const (
	// maxAnswer is how much of an answer is read, so that its connection can be used again. Nothing is made of it.
	maxAnswer = 64 << 10
	// maxRetryAfter bounds how long a receiver may ask to be left alone.
	maxRetryAfter = time.Hour
)

// SecretName and SecretURLName are what the secrets of a notification are sealed under.
func SecretName(name string) string    { return "notification/" + name + "/secret" }
func SecretURLName(name string) string { return "notification/" + name + "/url" }

// answerError is an answer that is no success.
type answerError struct{ code int }

func (e *answerError) Error() string {
	text := fmt.Sprintf("the receiver answers %d %s", e.code, http.StatusText(e.code))
	if e.code >= 300 && e.code < 400 {
		text += "; redirects are not followed, so give the URL that it leads to"
	}
	return text
}

// refused tells whether an error is about the event rather than about the receiver: a client error other than those that say who is asking, or that it is too much.
func refused(err error) bool {
	var answer *answerError
	if !errors.As(err, &answer) {
		return false
	}
	switch answer.code {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// errLocal refuses an address.
var errLocal = errors.New("the receiver's address is the hub's own machine, of its link alone, or a cloud's metadata, which the hub has to be told to allow (--notify-local)")

// target is where the events of a notification go.
type target struct {
	url, format string
	secret      []byte
	client      *http.Client
	clock       func() time.Time
}

// target makes that of a notification.
func (n *Notifier) target(row *storev1.Notification) (*target, error) {
	spec, name := row.Notification.Spec, row.Notification.Metadata.Name
	t := &target{url: spec.GetUrl(), format: spec.GetFormat(), clock: n.Clock}
	if row.SecretUrl != nil {
		opened, err := n.Sealer.Open(SecretURLName(name), row.SecretUrl)
		if err != nil {
			return nil, err
		}
		t.url = string(opened)
	}
	if row.Secret != nil {
		var err error
		if t.secret, err = n.Sealer.Open(SecretName(name), row.Secret); err != nil {
			return nil, err
		}
	}
	var roots *x509.CertPool // the system's
	if spec.GetCa() != "" {
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM([]byte(spec.GetCa())) {
			return nil, errors.New("spec.ca holds no certificate")
		}
	}
	dialer := &net.Dialer{Timeout: n.Timeout}
	if !n.Local {
		dialer.Control = refuseLocal
	}
	t.client = &http.Client{
		Timeout:       n.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		// No proxy: the address that is dialled is the receiver's, and is checked as such.
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
			TLSHandshakeTimeout: n.Timeout, MaxConnsPerHost: 1, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: maxAnswer,
		},
	}
	return t, nil
}

// close ends the target's connections. There need not be a target.
func (t *target) close() {
	if t != nil {
		t.client.CloseIdleConnections()
	}
}

// refuseLocal is asked for each address that is about to be dialled, after its name was looked up.
func refuseLocal(_, address string, _ syscall.RawConn) error {
	_, is, err := local.Address(address)
	if is {
		return errLocal
	}
	return err
}

// send tells the receiver one event. Beside an error it answers how long the receiver asks to be left alone.
func (t *target) send(ctx context.Context, e *Event) (pause time.Duration, err error) {
	body, err := t.body(e)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(body))
	if err != nil {
		return 0, errors.New("the URL is none that can be called") // which the error would show
	}
	timestamp := strconv.FormatInt(t.clock().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "yardarm-hub/"+version.String())
	req.Header.Set(HeaderEvent, e.ID)
	req.Header.Set(HeaderTimestamp, timestamp)
	if len(t.secret) > 0 {
		req.Header.Set(HeaderSignature, "v1="+sign(t.secret, timestamp, body))
	}
	resp, err := t.client.Do(req)
	if err != nil {
		return 0, withoutURL(err)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return 0, nil
	}
	return retryAfter(resp.Header.Get("Retry-After"), t.clock()), &answerError{resp.StatusCode}
}

// body is what is sent. Slack's own format knows one text.
func (t *target) body(e *Event) ([]byte, error) {
	if t.format == yardarmv1.FormatSlack {
		return json.Marshal(map[string]string{"text": slackText(e)})
	}
	return json.Marshal(e)
}

func sign(secret []byte, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// withoutURL is what went wrong with a request, without its URL, which may be a secret.
func withoutURL(err error) error {
	var of *url.Error
	if errors.As(err, &of) {
		if of.Timeout() {
			return errors.New("the receiver did not answer in time")
		}
		err = of.Err
	}
	if errors.Is(err, errLocal) {
		return errLocal
	}
	return fmt.Errorf("call the receiver: %w", err)
}

// retryAfter reads how long a receiver asks to be left alone: seconds, or a time.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(0, min(at.Sub(now), maxRetryAfter))
	}
	return 0
}
