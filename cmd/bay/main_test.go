package main

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"bayplan.dev/reconcile/kube/kubetest"
)

// runAsBay makes the test binary behave as bay, so that tests start and kill
// real processes without building one more binary.
const runAsBay = "BAYPLAN_TEST_RUN_AS_BAY"

func TestMain(m *testing.M) {
	// A hosted repository's hook runs the program without our environment.
	if os.Getenv(runAsBay) != "" || len(os.Args) == 2 && os.Args[1] == gitHook {
		main()
	}
	testscript.Main(withCluster{m}, map[string]func(){"bay": main})
}

// withCluster ends the control plane after the tests, if they have started one.
type withCluster struct{ *testing.M }

func (m withCluster) Run() int {
	defer kubetest.Stop()
	return m.M.Run()
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exitcode": exitCodeCommand},
		Setup: func(env *testscript.Env) error {
			env.Vars = append(env.Vars, cleanGit(env.WorkDir)...)
			return nil
		},
	})
}

// cleanGit is an environment in which git knows nothing of the machine's configuration.
func cleanGit(home string) []string {
	return []string{
		"HOME=" + home, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Alice", "GIT_AUTHOR_EMAIL=alice@example.com",
		"GIT_COMMITTER_NAME=Alice", "GIT_COMMITTER_EMAIL=alice@example.com",
	}
}

// exitCodeCommand is "exitcode N PROGRAM ARGS": it must end with that code.
func exitCodeCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exitcode N PROGRAM ARGS")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}
