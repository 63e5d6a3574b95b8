package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"bayplan.dev/reconcile/kube/kubetest"
)

// TestClientScripts runs testdata/client against a real server and control
// plane. Each script has a user of its own, $ALICE, and acts for her as the
// admin that everybody is on a server without authentication.
func TestClientScripts(t *testing.T) {
	kubeconfig := kubetest.Kubeconfig(t)
	server := startBay(t, kubeconfig, string(kubetest.Space(t).User))
	t.Run("scripts", func(t *testing.T) {
		testscript.Run(t, testscript.Params{
			Dir:                 "testdata/client",
			RequireExplicitExec: true,
			Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exitcode": exitCodeCommand},
			Setup: func(env *testscript.Env) error {
				env.Vars = append(env.Vars, cleanGit(env.WorkDir)...)
				env.Vars = append(env.Vars, "BAYPLAN_ENDPOINT_URL="+server.url, "ALICE="+string(kubetest.Space(t).User))
				return nil
			},
		})
	})
}
