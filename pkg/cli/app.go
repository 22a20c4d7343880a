package cli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/pkg/cli/table"
	"github.com/yardarm-dev/yardarm/pkg/client"
	"github.com/yardarm-dev/yardarm/pkg/clientconfig"
	"github.com/yardarm-dev/yardarm/pkg/version"
)

// app is one run of the command line: its streams, its global flags and its connection. It belongs to the goroutine that runs the command.
type app struct {
	io IO

	// Global flags.
	configPath     string
	contextName    string
	server         string
	ca             string
	tokenFile      string
	color          string
	requestTimeout time.Duration

	answers *bufio.Reader  // over io.In, from the first question on
	hub     *client.Client // nil until a command calls connect
	context string         // of hub, for errors; empty without a file of contexts
	address string         // of hub, for errors
	signIn  *signIn        // what hub's calls are made with; nil for any other credential
}

// connect returns the client for the context that flags, environment and file name. It opens no connection yet.
func (a *app) connect() (*client.Client, error) {
	if a.hub != nil {
		return a.hub, nil
	}
	config, name, err := a.clientConfig()
	if err != nil {
		return nil, err
	}
	hub, err := client.New(config)
	if err != nil {
		return nil, err
	}
	a.hub, a.context, a.address = hub, name, strings.TrimPrefix(config.Server, "https://")
	return hub, nil
}

// clientConfig is how to call the hub that was chosen, and the name of its context.
func (a *app) clientConfig() (client.Config, string, error) {
	chosen, err := a.destination()
	if err != nil {
		return client.Config{}, "", err
	}
	config, err := client.FromContext(*chosen)
	if err != nil {
		return client.Config{}, "", err
	}
	if a.server != "" {
		config.Server = a.server
	}
	if chosen.Token == "" && chosen.Login != nil {
		path, err := a.configFile()
		if err != nil {
			return client.Config{}, "", err
		}
		a.signIn = newSignIn(path, *chosen, a.io.Now)
		config.Renewed = a.signIn.token
	}
	config.UserAgent = "yardarm/" + version.String()
	config.RequestTimeout = a.requestTimeout
	return config, chosen.Name, nil
}

// destination is the hub to call and who to be there: the context that flags, environment and file name, but for what flags and environment say
// otherwise. Whoever gives both a token and a server needs no file.
func (a *app) destination() (*clientconfig.Context, error) {
	token, err := a.givenToken()
	if err != nil {
		return nil, err
	}
	chosen := &clientconfig.Context{}
	if server := cmp.Or(a.server, a.io.Getenv("YARDARM_SERVER")); token != "" && server != "" && a.chosenContext() == "" {
		chosen.Server = withScheme(server)
	} else if chosen, err = a.contextOfFile(); err != nil {
		return nil, err
	}
	if ca := cmp.Or(a.ca, a.io.Getenv("YARDARM_CA")); ca != "" {
		data, err := a.readFile(ca, maxSecret)
		if err != nil {
			return nil, err
		}
		chosen.CA = string(data)
	}
	if token != "" {
		chosen.Token, chosen.Login, chosen.ClientCertificate, chosen.ClientKey = token, nil, "", ""
	}
	return chosen, nil
}

// contextOfFile is a copy of the context that is asked for, or else the current one.
func (a *app) contextOfFile() (*clientconfig.Context, error) {
	file, path, err := a.loadConfig()
	if err != nil {
		return nil, err
	}
	for _, warning := range file.Warnings() {
		a.warn("%s", warning)
	}
	chosen, err := file.Context(a.chosenContext())
	if errors.Is(err, clientconfig.ErrNoContext) {
		return nil, fmt.Errorf("%w in %s; 'yardarm config get-contexts' lists those there are, and 'yardarm config use-context NAME' makes one current", err, path)
	}
	if err != nil {
		return nil, err
	}
	found := *chosen
	return &found, nil
}

// givenToken is the credential that is given for this command alone; empty for none. It is never on the command line, where others could see it.
func (a *app) givenToken() (string, error) {
	if a.tokenFile == "" {
		return strings.TrimSpace(a.io.Getenv("YARDARM_TOKEN")), nil
	}
	data, err := a.readFile(a.tokenFile, maxSecret)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(data)), nil
}

func withScheme(server string) string {
	if strings.Contains(server, "://") {
		return server
	}
	return "https://" + server
}

// chosenContext is the name of the context asked for; empty for the current one.
func (a *app) chosenContext() string {
	if a.contextName != "" {
		return a.contextName
	}
	return a.io.Getenv("YARDARM_CONTEXT")
}

func (a *app) configFile() (string, error) {
	for _, path := range []string{a.configPath, a.io.Getenv(clientconfig.EnvPath)} {
		if path != "" {
			return path, nil
		}
	}
	return clientconfig.DefaultPath()
}

// loadConfig reads the file of contexts, which has to be there.
func (a *app) loadConfig() (*clientconfig.Config, string, error) {
	path, err := a.configFile()
	if err != nil {
		return nil, "", err
	}
	file, err := clientconfig.Load(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, path, &noConfigError{path}
	}
	return file, path, err
}

// noConfigError says that there is no file of contexts.
type noConfigError struct{ path string }

func (e *noConfigError) Error() string {
	return fmt.Sprintf("there is no configuration in %s; the hub writes one for its administrator when it first starts: "+
		"take it with 'yardarm config import FILE', or name it with --config", e.path)
}

func (a *app) close() {
	if a.hub != nil {
		_ = a.hub.Close() // there is nothing to flush
	}
}

// print writes data to standard output.
func (a *app) print(format string, args ...any) {
	fmt.Fprintf(a.io.Out, format+"\n", args...)
}

// say writes a line of progress to standard error.
func (a *app) say(format string, args ...any) {
	fmt.Fprintf(a.io.Err, format+"\n", args...)
}

func (a *app) warn(format string, args ...any) {
	a.say("warning: "+format, args...)
}

// colors tells whether output has colours: --color, then NO_COLOR, then whether somebody looks.
func (a *app) colors() bool {
	switch a.color {
	case "always":
		return true
	case "never":
		return false
	}
	return a.io.OutTerminal && a.io.Getenv("NO_COLOR") == "" && a.io.Getenv("TERM") != "dumb"
}

func (a *app) newTable(header ...string) *table.Table {
	t := table.New(header...)
	t.Colors = a.colors()
	return t
}

func (a *app) write(t *table.Table) error {
	_, err := t.WriteTo(a.io.Out)
	return err
}

// age is how long ago a time was, as in "12m"; empty for none.
func (a *app) age(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return table.Duration(a.io.Now().Sub(t.AsTime()))
}

// ago is age for sentences, as in "12m ago"; "now" within the time that an answer takes.
func (a *app) ago(t *timestamppb.Timestamp) string {
	switch {
	case t == nil:
		return ""
	case a.io.Now().Sub(t.AsTime()) < 2*time.Second:
		return "now"
	}
	return a.age(t) + " ago"
}

// at is the time itself and its age, as in "2026-01-31 12:00:00 (12m ago)".
func (a *app) at(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	local := t.AsTime().In(a.io.Now().Location()).Format("2006-01-02 15:04:05 MST")
	if t.AsTime().After(a.io.Now()) {
		return fmt.Sprintf("%s (in %s)", local, table.Left(t.AsTime().Sub(a.io.Now())))
	}
	return fmt.Sprintf("%s (%s)", local, a.ago(t))
}

// ask asks a question on the terminal and returns the answer in lower case. It is for terminals only.
func (a *app) ask(ctx context.Context, question string) (string, error) {
	fmt.Fprint(a.io.Err, question+" ")
	if a.answers == nil {
		a.answers = bufio.NewReader(a.io.In)
	}
	type line struct {
		text string
		err  error
	}
	answer := make(chan line, 1) // the reader may outlive an interrupted question
	go func() {
		text, err := a.answers.ReadString('\n')
		answer <- line{text, err}
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(a.io.Err)
		return "", context.Cause(ctx)
	case got := <-answer:
		text := strings.ToLower(strings.TrimSpace(got.text))
		if got.err != nil && text == "" {
			fmt.Fprintln(a.io.Err)
			return "", failed("no answer was given")
		}
		return text, nil
	}
}

// confirm asks whether to go on. Everything but yes is no, and an error that says what was not done.
func (a *app) confirm(ctx context.Context, question, otherwise string) error {
	answer, err := a.ask(ctx, question+" [y/N]")
	if err != nil {
		return err
	}
	if answer != "y" && answer != "yes" {
		return failed("%s", otherwise)
	}
	return nil
}

// readFile reads a file of at most limit bytes; "-" is standard input.
func (a *app) readFile(path string, limit int64) ([]byte, error) {
	if path == "-" {
		return readLimited("standard input", a.io.In, limit)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readLimited(path, file, limit)
}
