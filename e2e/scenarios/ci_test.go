package scenarios

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// The examples for CI systems do what they say: the steps that are in the files are run against a hub, with the credential that each system gives its jobs.
// The systems show what would change, publish, and are told what came of it.
func TestCIExamples(t *testing.T) {
	t.Parallel()
	jobs := newJobTokens(t)
	w := newWorld(t, "--oidc-config", jobs.config)
	w.enrol(tokyo)
	w.apply("apiVersion: yardarm.dev/v1\nkind: ClusterGroup\nmetadata: {name: prod}\nspec: {selector: {matchLabels: {test: \"yes\"}}}\n")
	w.apply(`apiVersion: yardarm.dev/v1
kind: RoleBinding
metadata: {name: web-jobs}
spec:
  role: publisher
  subjects: [{kind: Group, name: "github:acme/web"}, {kind: Group, name: "gitlab:acme/web"}]
  bundles: {names: [web]}
  clusterGroups: {names: [prod]}
`)
	r := w.newRunner(jobs)

	r.writes("1")
	r.says(r.github(t, "diff"), "+ ConfigMap "+w.id+"/one")
	w.refused(1, []string{"get", "bundle/web"}, "web")
	r.github(t, "publish")
	r.published(1, "user/github:repo:acme/web:ref:refs/heads/main", runnerCommit)
	r.suite(false)

	r.writes("2")
	r.says(r.gitlab(t, "diff"), `data.value: "1" → "2"`)
	r.gitlab(t, "publish")
	r.published(2, "user/gitlab:project_path:acme/web:ref_type:branch:ref:main", runnerCommit)
	r.suite(false)

	r.writes("3")
	r.says(r.jenkins(t, 0), `data.value: "2" → "3"`)
	r.published(3, "token/web-ci", runnerCommit)

	r.writes("4")
	if tasks := r.ansible(t, true); len(tasks) != 1 || !tasks[0].changed || !strings.Contains(tasks[0].out, `data.value: "3" → "4"`) {
		t.Errorf("--check: %+v", tasks)
	}
	w.holds("one", "value", "3", tokyo)
	if tasks := r.ansible(t, false); len(tasks) != 2 || !tasks[0].changed || !strings.Contains(tasks[1].out, `"outcome": "published"`) {
		t.Errorf("%+v", tasks)
	}
	if tasks := r.ansible(t, false); len(tasks) != 2 || tasks[0].changed || !strings.Contains(tasks[1].out, `"outcome": "unchanged"`) {
		t.Errorf("a second time: %+v", tasks)
	}
	r.published(4, "token/web-ci", "")

	// What fails fails the build, with what the page of its tests shows.
	r.writes("5", refusedService)
	r.jenkins(t, 3)
	r.suite(true)
	w.eventuallyHolds(tokyo, "one", "4")
	r.terraform(t)
}

// yamlBlocks are the fenced blocks of a page that are YAML.
var yamlBlocks = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

// runnerCommit is the commit that the jobs are about.
const runnerCommit = "4f2c1e9d8b7a6f5e4d3c2b1a0f9e8d7c6b5a4f3e"

// runner runs the steps of CI systems in a checkout: a folder with manifests, and the hub's CA.
type runner struct {
	*reader
	jobs *jobTokens
	// token is that of jobs whose system makes none.
	token string
}

func (w *world) newRunner(jobs *jobTokens) *runner {
	w.t.Helper()
	r := &runner{reader: w.newReader(), jobs: jobs}
	ca, _, err := w.hub.WriteCurl(r.dir)
	w.must(err)
	w.must(os.MkdirAll(filepath.Join(r.dir, "ci"), 0o755))
	w.must(os.Rename(ca, filepath.Join(r.dir, "ci", "hub-ca.pem")))
	return r
}

// writes has the checkout hold other manifests.
func (r *runner) writes(value string, more ...string) {
	r.w.t.Helper()
	dir := filepath.Join(r.dir, "manifests")
	r.w.must(os.RemoveAll(dir))
	r.w.must(os.Rename(r.w.files(append([]string{namespace, settings("one", value)}, more...)...), dir))
}

// example reads a file, in which the hub has the address that it has here.
func (r *runner) example(path string) string {
	r.w.t.Helper()
	return strings.ReplaceAll(r.w.read("../../docs/ci/"+path), "hub.example.com:7443", strings.TrimPrefix(r.w.hub.URL(), "https://"))
}

// step runs a script as the system's shell does, and answers its output and its exit code.
func (r *runner) step(shell []string, script string, env map[string]string) (string, int) {
	r.w.t.Helper()
	command := exec.CommandContext(r.w.ctx, shell[0], append(shell[1:], script)...)
	command.Dir, command.Env = r.dir, slices.Clone(r.env)
	for name, value := range env {
		command.Env = append(command.Env, name+"="+value)
	}
	out, err := command.CombinedOutput()
	if command.ProcessState == nil {
		r.w.t.Fatalf("%v\n%s", err, script)
	}
	return string(out), command.ProcessState.ExitCode()
}

// github runs the steps of a job of the workflow.
func (r *runner) github(t *testing.T, job string) (all string) {
	t.Helper()
	var workflow struct {
		Env  map[string]string
		Jobs map[string]struct {
			Steps []struct{ Name, Run string }
		}
	}
	r.w.must(yaml.Unmarshal([]byte(r.example("github-actions.yaml")), &workflow))
	variables := filepath.Join(t.TempDir(), "env")
	r.w.must(os.WriteFile(variables, nil, 0o600))
	env := workflow.Env
	for name, value := range map[string]string{
		"ACTIONS_ID_TOKEN_REQUEST_URL": r.jobs.URL + "/github/token?job=1", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of-the-job", "CURL_CA_BUNDLE": r.jobs.ca,
		"RUNNER_TEMP": t.TempDir(), "GITHUB_ENV": variables, "GITHUB_STEP_SUMMARY": filepath.Join(t.TempDir(), "summary"),
		"GITHUB_SHA": runnerCommit, "GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "acme/web",
	} {
		env[name] = value
	}
	ran := 0
	for _, step := range workflow.Jobs[job].Steps {
		if step.Run == "" {
			continue
		}
		ran++
		out, code := r.step([]string{"bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"}, step.Run, env)
		if code != 0 {
			t.Fatalf("%s: exit code %d\n%s", step.Name, code, out)
		}
		all += out
		for line := range strings.Lines(r.w.read(variables)) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			env[name] = value
		}
	}
	if ran == 0 {
		t.Fatalf("job %s has no step", job)
	}
	return all
}

// gitlab runs the script of a job.
func (r *runner) gitlab(t *testing.T, job string) string {
	t.Helper()
	text := r.example("gitlab-ci.yaml")
	var common struct {
		Default struct {
			IDTokens map[string]struct{ Aud string } `json:"id_tokens"`
		}
		Variables map[string]string
	}
	var jobs map[string]json.RawMessage
	r.w.must(yaml.Unmarshal([]byte(text), &common))
	r.w.must(yaml.Unmarshal([]byte(text), &jobs))
	var this struct{ Script []string }
	r.w.must(json.Unmarshal(jobs[job], &this))
	env := common.Variables
	for name, token := range common.Default.IDTokens {
		env[name] = r.jobs.token("gitlab", token.Aud)
	}
	env["CI_COMMIT_SHA"], env["CI_PROJECT_URL"], env["CI_COMMIT_TITLE"] = runnerCommit, "https://gitlab.example.com/acme/web", "another value"
	out, code := r.step([]string{"bash", "-eo", "pipefail", "-c"}, strings.Join(this.Script, "\n"), env)
	if code != 0 || len(this.Script) == 0 {
		t.Fatalf("exit code %d of %q\n%s", code, this.Script, out)
	}
	return out
}

var (
	jenkinsSteps    = regexp.MustCompile(`(?s)sh '''\n(.*?)'''`)
	jenkinsSettings = regexp.MustCompile(`(YARDARM_[A-Z]+) = '([^']*)'`)
	// tokenCommand is how a comment says to make the token.
	tokenCommand = regexp.MustCompile(`(?m)^//   yardarm (token create .*)$`)
)

// jenkins runs the steps one after the other; the last one ends with the code.
func (r *runner) jenkins(t *testing.T, want int) (all string) {
	t.Helper()
	file := r.example("Jenkinsfile")
	if r.token == "" {
		r.token = strings.TrimSpace(r.w.do(strings.Fields(tokenCommand.FindStringSubmatch(file)[1])...))
	}
	env := map[string]string{"YARDARM_TOKEN": r.token, "GIT_COMMIT": runnerCommit, "GIT_URL": "https://git.example.com/web.git"}
	for _, setting := range jenkinsSettings.FindAllStringSubmatch(file, -1) {
		env[setting[1]] = setting[2]
	}
	steps := jenkinsSteps.FindAllStringSubmatch(file, -1)
	for i, step := range steps {
		out, code := r.step([]string{"sh", "-e", "-c"}, step[1], env)
		if last := i == len(steps)-1; code != 0 && !last || last && code != want {
			t.Fatalf("exit code %d of step %d\n%s", code, i, out)
		}
		all += out
	}
	return all
}

// ran is a task that Ansible has run.
type ran struct {
	changed bool
	out     string
}

// conditions are those of the playbook, of the exit code of the task.
var conditions = map[string]func(int) bool{
	"diff.rc == 1":                  func(rc int) bool { return rc == 1 },
	"diff.rc > 1":                   func(rc int) bool { return rc > 1 },
	"published.rc not in [0, 4, 5]": func(rc int) bool { return !slices.Contains([]int{0, 4, 5}, rc) },
}

// ansible runs the commands of the playbook: all of them, or in check mode those that say that they are for it.
func (r *runner) ansible(t *testing.T, check bool) (all []ran) {
	t.Helper()
	var plays []struct {
		Environment map[string]string
		Tasks       []struct {
			Name    string
			Command struct{ Argv []string } `json:"ansible.builtin.command"`
			// CheckMode is absent where a task is left out in check mode.
			CheckMode   *bool  `json:"check_mode"`
			ChangedWhen string `json:"changed_when"`
			FailedWhen  string `json:"failed_when"`
		}
	}
	r.w.must(yaml.Unmarshal([]byte(r.example("ansible.yaml")), &plays))
	env := plays[0].Environment
	env["YARDARM_TOKEN"] = r.token
	for _, task := range plays[0].Tasks {
		if len(task.Command.Argv) == 0 || check && (task.CheckMode == nil || *task.CheckMode) {
			continue
		}
		out, rc := r.argv(task.Command.Argv, env)
		failed := conditions[task.FailedWhen]
		if failed == nil {
			t.Fatalf("%s: the test does not know the condition %q", task.Name, task.FailedWhen)
		}
		if failed(rc) {
			t.Fatalf("%s: exit code %d\n%s", task.Name, rc, out)
		}
		changed := conditions[task.ChangedWhen]
		all = append(all, ran{changed: changed != nil && changed(rc), out: out})
	}
	return all
}

// argv runs a program without a shell.
func (r *runner) argv(argv []string, env map[string]string) (string, int) {
	r.w.t.Helper()
	return r.step(append([]string{"env"}, argv[:len(argv)-1]...), argv[len(argv)-1], env)
}

// published sees that a revision is ready, whose it is, and from where.
func (r *runner) published(number int, actor, commit string) {
	r.w.t.Helper()
	r.w.ready("web", number)
	var revision struct {
		Spec struct {
			Provenance struct{ Actor, Commit string }
		}
	}
	r.w.must(json.Unmarshal([]byte(r.w.do("get", "revision", fmt.Sprintf("web-%d", number), "-o", "json")), &revision))
	if p := revision.Spec.Provenance; p.Actor != actor || p.Commit != commit {
		r.w.t.Errorf("revision %d is by %+v, want %s, %s", number, p, actor, commit)
	}
}

// suite reads what the job has written for its page.
func (r *runner) suite(fails bool) {
	r.w.t.Helper()
	var doc struct {
		Suites []junitSuite `xml:"testsuite"`
	}
	text := r.w.read(filepath.Join(r.dir, "yardarm.xml"))
	if err := xml.Unmarshal([]byte(text), &doc); err != nil || len(doc.Suites) != 1 || doc.Suites[0].Tests != 2 || (doc.Suites[0].Failures > 0) != fails {
		r.w.t.Errorf("%v: %s", err, text)
	}
}

// terraform makes, changes and deletes a group by the calls of the example: the programs that it runs, and if Terraform is here Terraform itself.
func (r *runner) terraform(t *testing.T) {
	t.Helper()
	token := strings.TrimSpace(r.w.do("token", "create", "terraform", "--role", "operator"))
	dir, err := filepath.Abs("../../docs/ci/terraform")
	r.w.must(err)
	env := map[string]string{"YARDARM_TOKEN": token, "HUB": r.w.hub.URL(), "CA": filepath.Join(r.dir, "ci", "hub-ca.pem"), "RESOURCE": "clustergroups/shops"}
	run := func(program string, args ...string) (string, int) {
		return r.argv(append([]string{filepath.Join(dir, program)}, args...), env)
	}
	version := func() string {
		out, code := run("version.sh", "clustergroups/shops")
		if code != 0 {
			t.Fatalf("version: exit code %d: %s", code, out)
		}
		return strings.TrimSpace(out)
	}
	body := func(version, kind string) string {
		return `{"resources":[{"clusterGroup":{"apiVersion":"yardarm.dev/v1","kind":"ClusterGroup","metadata":{"name":"shops","resourceVersion":"` + version +
			`"},"spec":{"selector":{"matchLabels":{"kind":"` + kind + `"}}}}}]}`
	}
	if v := version(); v != "" {
		t.Errorf("a group that there is not has version %q", v)
	}
	env["BODY"] = body("", "shop")
	if out, code := run("apply.sh"); code != 0 || !strings.Contains(out, `"created"`) {
		t.Errorf("make: exit code %d: %s", code, out)
	}
	planned := version()
	r.w.apply("apiVersion: yardarm.dev/v1\nkind: ClusterGroup\nmetadata: {name: shops}\nspec: {selector: {matchLabels: {kind: kiosk}}}\n")
	env["BODY"] = body(planned, "shop")
	if out, code := run("apply.sh"); code == 0 || !strings.Contains(out, "shops") {
		t.Errorf("what was changed after the plan: exit code %d: %s", code, out)
	}
	env["BODY"] = body(version(), "shop")
	if out, code := run("apply.sh"); code != 0 || !strings.Contains(out, `"configured"`) {
		t.Errorf("change: exit code %d: %s", code, out)
	}
	for range 2 { // the second finds nothing
		if out, code := run("delete.sh"); code != 0 {
			t.Errorf("delete: exit code %d: %s", code, out)
		}
	}
	if v := version(); v != "" {
		t.Errorf("it is still there, version %q", v)
	}
	program, err := exec.LookPath("terraform")
	if err != nil {
		t.Log("Terraform is not here: its programs were run, and its file was not")
		return
	}
	r.realTerraform(t, program, dir, env, version)
}

// realTerraform applies the example, twice, and destroys it.
func (r *runner) realTerraform(t *testing.T, program, dir string, env map[string]string, version func() string) {
	t.Helper()
	copied := filepath.Join(r.dir, "terraform")
	r.w.must(os.CopyFS(copied, os.DirFS(dir)))
	env["TF_VAR_hub"], env["TF_VAR_ca"] = env["HUB"], env["CA"]
	terraform := func(args ...string) string {
		out, code := r.argv(append([]string{program, "-chdir=" + copied}, args...), env)
		if code != 0 {
			t.Fatalf("terraform %v: exit code %d\n%s", args, code, out)
		}
		return out
	}
	terraform("init", "-no-color")
	env["TF_VAR_group_version"] = version()
	terraform("apply", "-auto-approve", "-no-color")
	env["TF_VAR_group_version"] = version()
	if env["TF_VAR_group_version"] == "" {
		t.Error("there is no group")
	}
	r.says(terraform("apply", "-auto-approve", "-no-color"), "No changes.")
	main := filepath.Join(copied, "main.tf")
	r.w.must(os.WriteFile(main, []byte(strings.Replace(r.w.read(main), `kind = "shop"`, `kind = "kiosk"`, 1)), 0o644))
	terraform("apply", "-auto-approve", "-no-color")
	r.says(r.w.do("get", "group", "shops", "-o", "yaml"), "kiosk")
	terraform("destroy", "-auto-approve", "-no-color")
	if v := version(); v != "" {
		t.Errorf("it is still there, version %q", v)
	}
}
