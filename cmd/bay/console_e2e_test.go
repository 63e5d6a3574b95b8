//go:build e2e

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"bayplan.dev/reconcile/kube/kubetest"
	"bayplan.dev/schema"
	"bayplan.dev/webhook/auth"
)

// TestE2EConsolePage has a real browser use the page as people do, while others
// push and the server dies.
func TestE2EConsolePage(t *testing.T) {
	d := newDeck(t)
	d.push(map[string]*string{
		d.at("shop", "api"): new(container("api")),
		d.at("shop", "db"):  new(container("db", "  state: Stopped\n")),
	}, "Run the shop")
	d.play("page")
}

// TestE2EConsoleInside has a real browser read the log of a real container, and
// work in a terminal inside it.
func TestE2EConsoleInside(t *testing.T) {
	image := os.Getenv("BAYPLAN_TEST_IMAGE")
	if os.Getenv("BAYPLAN_TEST_NODE") != "real" || image == "" {
		t.Fatal("this test needs a real node: bin/devcluster run --node real -- go test …")
	}
	d := newDeck(t)
	d.push(map[string]*string{d.at("web", "web"): new(strings.Replace(container("web",
		"  resources: {limits: {cpu: 500m, memory: 128Mi}}\n",
		"  command: [sh, -c, 'i=0; while :; do i=$((i+1)); echo line $i; sleep 0.2; done']\n"),
		"registry.example.com/app:1.0", image, 1))}, "Run what writes")
	d.play("inside")
}

// deck is a server that asks who calls, and what a test in a browser may ask for
// beside it.
type deck struct {
	*fleet
	apps  string // the operator's file
	rules string // what it says
	// env is that of the user, ops that of the operator.
	env, ops []string
	key      string
	orders   chan order
}

// order is something that a test in a browser wants done; it is done by the
// goroutine of the Go test, which may fail.
type order struct {
	Do      string             `json:"do"`
	As      string             `json:"as"`
	Files   map[string]*string `json:"files"`
	Message string             `json:"message"`
	done    chan string
}

func newDeck(t *testing.T) *deck {
	t.Helper()
	kubeconfig, dir, user := kubetest.Kubeconfig(t), t.TempDir(), kubetest.Space(t).User
	key, hash := auth.NewKey()
	d := &deck{apps: filepath.Join(dir, "apps.yaml"), key: key, orders: make(chan order)}
	d.rules = fmt.Sprintf("apps:\n"+
		"- {name: console, keyHashes: [%[1]s], platformUsers: ['*'], scopes: [read, write]}\n"+
		"- {name: ops, keyHashes: [%[1]s], platformUsers: [root], scopes: [admin]}\n", hash)
	write(t, dir, "apps.yaml", d.rules, 0o600)
	write(t, dir, "config.yaml", fmt.Sprintf("auth: {file: %s, keyFile: %s, makeKey: true}\n", d.apps, filepath.Join(dir, "key.pem")), 0o600)
	s := startBay(t, kubeconfig, string(user), "--config", filepath.Join(dir, "config.yaml"))
	common := append(os.Environ(), runAsBay+"=1", "HOME="+t.TempDir(), "BAYPLAN_ENDPOINT_URL="+s.url, "BAYPLAN_SECRET_KEY="+key)
	d.env = append(slices.Clip(common), "BAYPLAN_APP=console", "BAYPLAN_USER="+string(user))
	d.ops = append(slices.Clip(common), "BAYPLAN_APP=ops", "BAYPLAN_USER=root")
	c := &clone{t: t, dir: filepath.Join(t.TempDir(), "fleet")}
	d.fleet = &fleet{bayServer: s, clone: c, cluster: newTestCluster(t, kubeconfig), user: user}
	c.git("clone", "--quiet", d.remote(), c.dir)
	c.git("checkout", "--quiet", "-B", "main")
	return d
}

// at is where the container of the user's space is written.
func (d *deck) at(space, name string) string { return file(d.id(space, name)) }

// remote is the repository for the operator, by a new token.
func (d *deck) remote() string {
	d.t().Helper()
	body, err := json.Marshal(map[string]string{"app": "ops", "key": d.key, "uid": "root"})
	if err != nil {
		d.t().Fatal(err)
	}
	request, err := http.NewRequestWithContext(d.t().Context(), http.MethodPost, d.url+"/auth", bytes.NewReader(body))
	if err != nil {
		d.t().Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		d.t().Fatal(err)
	}
	defer response.Body.Close()
	var out struct{ Token string }
	if err := json.NewDecoder(response.Body).Decode(&out); err != nil || out.Token == "" {
		d.t().Fatalf("no token: %d %v", response.StatusCode, err)
	}
	return strings.Replace(d.url, "http://", "http://root:"+out.Token+"@", 1) + "/git/fleet.git"
}

// push writes files, or removes those that are nil, and pushes.
func (d *deck) push(files map[string]*string, message string) string {
	d.t().Helper()
	remote := d.remote()
	if d.git("ls-remote", remote) != "" {
		d.git("pull", "--quiet", "--rebase", remote, "main")
	}
	for name, text := range files {
		if text == nil {
			d.remove(name)
		} else {
			d.write(name, *text)
		}
	}
	revision := d.commit(message)
	d.git("push", "--quiet", remote, "HEAD:main")
	return string(revision)
}

// play runs the browser's tests, and does what they ask for until they end.
// CONSOLE_TESTS are more arguments of Playwright, such as a file's name.
func (d *deck) play(project string) {
	t := d.t()
	t.Helper()
	control := httptest.NewServer(http.HandlerFunc(d.serve))
	defer control.Close()
	dir := stage(t)
	assets, err := filepath.Abs("../../console/assets")
	if err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1", "CONSOLE_URL="+d.url, "CONSOLE_CONTROL="+control.URL,
		"CONSOLE_USER="+string(d.user), "CONSOLE_ASSETS="+assets)
	npm := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), "npm", append([]string{"--silent"}, args...)...)
		cmd.Dir, cmd.Env = dir, env
		return cmd
	}
	if out, err := npm("ci", "--no-audit", "--no-fund").CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	test := npm(append([]string{"test", "--", "--project=" + project}, strings.Fields(os.Getenv("CONSOLE_TESTS"))...)...)
	var out lines
	test.Stdout, test.Stderr = &out, &out
	if testing.Verbose() { // it takes minutes
		test.Stdout, test.Stderr = os.Stdout, os.Stdout
	}
	ended := make(chan error, 1)
	go func() { ended <- test.Run() }()
	for {
		select {
		case o := <-d.orders:
			o.done <- d.obey(o)
		case err := <-ended:
			if err != nil {
				t.Errorf("the browser's tests: %v\n%s", err, out.String())
			}
			return
		}
	}
}

// stage copies the browser's tests, without what npm has put beside them.
func stage(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../console/e2e")); err != nil && !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// serve hands an order on and answers with what came of it.
func (d *deck) serve(w http.ResponseWriter, r *http.Request) {
	o := order{done: make(chan string, 1)}
	if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	d.orders <- o
	_, _ = w.Write([]byte(<-o.done)) // the test has gone where nobody listens
}

// obey does one order; what it returns is for the browser's test.
func (d *deck) obey(o order) string {
	t := d.t()
	t.Helper()
	switch o.Do {
	case "open": // a link that signs in
		cmd := bayCommand("open", "--print")
		cmd.Env = d.env
		if o.As == "ops" {
			cmd.Env = d.ops
		}
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("bay open: %v", err)
		}
		return strings.TrimSpace(string(out))
	case "push":
		return d.push(o.Files, o.Message)
	case "head":
		return d.git("--git-dir", d.bare(), "log", "-1", "--format=%H %an %s", "main")
	case "kill":
		d.stop(syscall.SIGKILL)
	case "start":
		d.args = append(d.args, "--listen", strings.TrimPrefix(d.url, "http://"))
		d.start()
	case "revoke": // nobody's token is good any more
		write(t, filepath.Dir(d.apps), filepath.Base(d.apps), strings.ReplaceAll(d.rules, "name: ", "name: no"), 0o600)
	case "grant":
		write(t, filepath.Dir(d.apps), filepath.Base(d.apps), d.rules, 0o600)
	case "states":
		return d.states()
	default:
		t.Errorf("nobody knows the order %q", o.Do)
	}
	return ""
}

// states are the Deployments of the user's containers that the cluster holds.
func (d *deck) states() string {
	d.t().Helper()
	var found []string
	for _, space := range []string{"shop", "many", "typing"} {
		for kind := range d.cluster.versions(d.space(space)) {
			if name, ok := strings.CutPrefix(kind, "Deployment/"); ok {
				found = append(found, schema.ContainerID{Space: d.space(space), Name: name}.String())
			}
		}
	}
	return strings.Join(found, " ")
}
