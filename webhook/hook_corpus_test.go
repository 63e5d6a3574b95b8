package webhook

import (
	"cmp"
	"net/url"
	"strings"
)

// told is all that a hook says, and who is to look because of it.
type told struct {
	Event string
	Push  push
	Wakes woken
}

// woken is who was told to look.
type woken struct {
	Result         HookResult
	Loop, Reviewer bool
}

var (
	wakesBoth     = woken{HookAccepted, true, true}
	wakesReviewer = woken{HookAccepted, false, true}
	wakesNobody   = woken{HookIgnored, false, false}
	pongs         = woken{HookPong, false, false}
)

// branchOf is the one that the recorded pushes are to.
var branchOf = map[Forge]string{GitHub: "master", GitLab: "master", Gitea: "main"}

// repositoriesOf are addresses of what the hook is of, none of which it has as
// it stands; a hook of none is of any.
func repositoriesOf(p push) []string {
	name := cmp.Or(p.Project.Path, p.Repository.FullName, "team/fleet")
	return []string{"https://forge.example/" + strings.ToLower(name), "git@forge.example:" + name + ".git"}
}

// onHub is a repository as GitHub tells of it, and as Gitea does.
func onHub(name string) push {
	return push{Repository: repository{FullName: name, CloneURL: "https://github.com/" + name + ".git", URL: "https://api.github.com/repos/" + name}}
}

func onGitea() push {
	return push{Repository: repository{
		FullName: "team/fleet", CloneURL: "https://gitea.example/team/fleet.git", URL: "https://gitea.example/api/v1/repos/team/fleet",
	}}
}

func at(p push, ref string) push {
	p.Ref = ref
	return p
}

// pushedOnHub is a push as GitHub tells of it, with another address than elsewhere.
func pushedOnHub(name, ref string) push {
	p := at(onHub(name), ref)
	p.Repository.URL = "https://github.com/" + name
	return p
}

// onLab is a project as GitLab tells of it, of a host that begins with the scheme.
func onLab(host, path string) repository {
	u, _ := url.Parse(host)
	ssh := "git@" + u.Hostname() + ":" + path + ".git"
	return repository{Path: path, HTTPURL: host + "/" + path + ".git", SSHURL: ssh, URL: ssh}
}

// onLabByHTTP is one whose main address isn't that for ssh.
func onLabByHTTP(host, path string) repository {
	r := onLab(host, path)
	r.URL = r.HTTPURL
	return r
}

// pushedOnLab is a push to it: the repository is the project without its path.
func pushedOnLab(kind, ref string, project repository) push {
	p := push{Kind: kind, Name: kind, Ref: ref, Repository: project, Project: project}
	p.Repository.Path = ""
	return p
}

// mergeOnLab is a merge request to it.
func mergeOnLab(project repository) push {
	return push{Kind: "merge_request", Repository: repository{URL: project.URL}, Project: project}
}

// tagOnLab is the push of a tag to the one project that has three addresses.
func tagOnLab(kind string) push {
	p := pushedOnLab(kind, "refs/tags/v1.0.0", onLab("http://example.com", "jsmith/example"))
	p.Name, p.Repository.URL = "tag_push", "ssh://git@example.com/jsmith/example.git"
	return p
}

const refMaster = "refs/heads/master"

var (
	helloHub = onHub("Codertocat/Hello-World")
	helloLab = onLab("https://gitlab.com", "gitlab-org/hello-world")
	testLab  = onLabByHTTP("http://example.com", "gitlabhq/gitlab-test")
	flight   = repository{
		Path: "flightjs/Flight", HTTPURL: "https://example.com/flightjs/Flight.git",
		SSHURL: "ssh://git@example.com/flightjs/Flight.git", URL: "ssh://git@example.com/flightjs/Flight.git",
	}
)

// recordedHooks are all of testdata/hooks.
var recordedHooks = map[string]told{
	"github_ping":                            {"ping", onHub("Octocoders/Hello-World"), pongs},
	"github_ping_organization":               {"ping", push{}, pongs},
	"github_push":                            {"push", pushedOnHub("Codertocat/Hello-World", refMaster), wakesBoth},
	"github_push_form":                       {"push", pushedOnHub("Codertocat/Hello-World", refMaster), wakesBoth},
	"github_push_forced":                     {"push", pushedOnHub("jessesuen/test-repo", refMaster), wakesBoth},
	"github_push_topic":                      {"push", pushedOnHub("bradrydzewski/drone-test-go", "refs/heads/feature-branch"), wakesReviewer},
	"github_push_topic_deleted":              {"push", pushedOnHub("bradrydzewski/drone-test-go", "refs/heads/feature-branch"), wakesReviewer},
	"github_push_tag":                        {"push", pushedOnHub("Codertocat/Hello-World", "refs/tags/simple-tag"), wakesNobody},
	"github_push_tag_deleted":                {"push", pushedOnHub("Codertocat/Hello-World", "refs/tags/simple-tag"), wakesNobody},
	"github_pull_request_opened":             {"pull_request", helloHub, wakesReviewer},
	"github_pull_request_opened_form":        {"pull_request", helloHub, wakesReviewer},
	"github_pull_request_synchronize":        {"pull_request", helloHub, wakesReviewer},
	"github_pull_request_edited":             {"pull_request", onHub("bradrydzewski/drone-test-go"), wakesReviewer},
	"github_pull_request_closed":             {"pull_request", helloHub, wakesReviewer},
	"github_pull_request_merged":             {"pull_request", onHub("anbraten/test-ready-release-go"), wakesReviewer},
	"github_pull_request_reopened":           {"pull_request", helloHub, wakesReviewer},
	"github_pull_request_reopened_fork":      {"pull_request", onHub("kubernetes/test-infra"), wakesReviewer},
	"github_pull_request_labeled":            {"pull_request", helloHub, wakesReviewer},
	"github_pull_request_converted_to_draft": {"pull_request", helloHub, wakesReviewer},

	"github_check_run_completed":                 {"check_run", helloHub, wakesNobody},
	"github_check_suite_requested":               {"check_suite", helloHub, wakesNobody},
	"github_create":                              {"create", at(helloHub, "simple-tag"), wakesNobody},
	"github_delete":                              {"delete", at(helloHub, "simple-tag"), wakesNobody},
	"github_deployment_status":                   {"deployment_status", helloHub, wakesNobody},
	"github_fork":                                {"fork", helloHub, wakesNobody},
	"github_installation_created":                {"installation", push{}, wakesNobody},
	"github_installation_repositories_added":     {"installation_repositories", push{}, wakesNobody},
	"github_issue_comment_created":               {"issue_comment", helloHub, wakesNobody},
	"github_merge_group_checks_requested":        {"merge_group", onHub("octo-org/octo-repo"), wakesNobody},
	"github_pull_request_review_submitted":       {"pull_request_review", helloHub, wakesNobody},
	"github_pull_request_review_comment_created": {"pull_request_review_comment", helloHub, wakesNobody},
	"github_release_published":                   {"release", helloHub, wakesNobody},
	"github_repository_renamed":                  {"repository", onHub("Octocoders/Hello-World"), wakesNobody},
	"github_star_created":                        {"star", helloHub, wakesNobody},
	"github_status":                              {"status", helloHub, wakesNobody},
	"github_workflow_run_completed":              {"workflow_run", helloHub, wakesNobody},

	"gitlab_push":                        {"push hook", pushedOnLab("push", refMaster, onLab("http://example.com", "mike/diaspora")), wakesBoth},
	"gitlab_push_merge":                  {"push hook", pushedOnLab("push", refMaster, helloLab), wakesBoth},
	"gitlab_push_many":                   {"push hook", pushedOnLab("push", refMaster, onLab("https://repository.server.com", "repo-org/repo-name")), wakesBoth},
	"gitlab_push_topic":                  {"push hook", pushedOnLab("push", "refs/heads/feature", helloLab), wakesReviewer},
	"gitlab_push_topic_deleted":          {"push hook", pushedOnLab("push", "refs/heads/feature", helloLab), wakesReviewer},
	"gitlab_push_tag":                    {"tag push hook", tagOnLab("tag_push"), wakesNobody},
	"gitlab_push_tag_deleted":            {"tag push hook", pushedOnLab("tag_push", "refs/tags/v1.0.0", helloLab), wakesNobody},
	"gitlab_merge_request_open":          {"merge request hook", mergeOnLab(testLab), wakesReviewer},
	"gitlab_merge_request_open_fork":     {"merge request hook", mergeOnLab(onLab("https://gitlab.com", "lkysow/atlantis-example")), wakesReviewer},
	"gitlab_merge_request_open_subgroup": {"merge request hook", mergeOnLab(onLab("https://gitlab.com", "lkysow-test/subgroup/sub-subgroup/atlantis-example")), wakesReviewer},
	"gitlab_merge_request_update":        {"merge request hook", mergeOnLab(onLab("http://10.40.8.5:3200", "test/woodpecker")), wakesReviewer},
	"gitlab_merge_request_update_draft":  {"merge request hook", mergeOnLab(onLab("https://gitlab.com", "rathod.meetsatish/meet")), wakesReviewer},
	"gitlab_merge_request_close":         {"merge request hook", mergeOnLab(helloLab), wakesReviewer},
	"gitlab_merge_request_reopen":        {"merge request hook", mergeOnLab(helloLab), wakesReviewer},
	"gitlab_merge_request_merge":         {"merge request hook", mergeOnLab(helloLab), wakesReviewer},

	"gitlab_deployment": {"deployment hook", push{Kind: "deployment", Ref: "1.0.0", Project: repository{
		Path: "root/test-deployment-webhooks", HTTPURL: "http://10.126.0.2:3000/root/test-deployment-webhooks.git",
		SSHURL: "ssh://vlad@10.126.0.2:2222/root/test-deployment-webhooks.git", URL: "ssh://vlad@10.126.0.2:2222/root/test-deployment-webhooks.git",
	}}, wakesNobody},
	"gitlab_emoji_merge_request": {"emoji hook", push{Kind: "emoji", Project: flight}, wakesNobody},
	"gitlab_feature_flag":        {"feature flag hook", push{Kind: "feature_flag", Project: testLab}, wakesNobody},
	"gitlab_issue":               {"issue hook", push{Kind: "issue", Repository: repository{URL: testLab.URL}, Project: testLab}, wakesNobody},
	"gitlab_job": {"job hook", push{Kind: "build", Ref: "main", Repository: repository{
		HTTPURL: "https://gitlab.com/jsmithy2/release-tools-fake.git",
		SSHURL:  "git@gitlab.com:jsmithy2/release-tools-fake.git", URL: "git@gitlab.com:jsmithy2/release-tools-fake.git",
	}}, wakesNobody},
	"gitlab_member":    {"member hook", push{Name: "user_add_to_group"}, wakesNobody},
	"gitlab_milestone": {"milestone hook", push{Kind: "milestone", Project: flight}, wakesNobody},
	"gitlab_note_merge_request": {"note hook", push{
		Kind: "note", Repository: repository{URL: "http://localhost/gitlab-org/gitlab-test.git"},
		Project: onLabByHTTP("http://example.com", "gitlab-org/gitlab-test"),
	}, wakesNobody},
	"gitlab_pipeline": {"pipeline hook", push{Kind: "pipeline", Project: repository{
		Path: "gitlab-org/gitlab-test", HTTPURL: "http://192.168.64.1:3005/gitlab-org/gitlab-test.git", SSHURL: "git@192.168.64.1:gitlab-org/gitlab-test.git",
	}}, wakesNobody},
	"gitlab_release": {"release hook", push{Kind: "release", Project: repository{
		Path: "exm-namespace/example-project", HTTPURL: "http://example.com/exm-namespace/example-project.git",
		SSHURL: "git@gitlab.com:exm-namespace/example-project.git", URL: "git@gitlab.com:exm-namespace/example-project.git",
	}}, wakesNobody},
	"gitlab_resource_access_token": {"resource access token hook", push{Kind: "access_token", Name: "expiring_access_token", Project: flight}, wakesNobody},
	"gitlab_wiki_page":             {"wiki page hook", push{Kind: "wiki_page", Project: onLab("http://example.com", "root/awesome-project")}, wakesNobody},

	"gitlab_system_push": {"push", func() push {
		p := pushedOnLab("", refMaster, onLab("http://example.com", "mike/diaspora"))
		p.Name = "push"
		return p
	}(), wakesBoth},
	"gitlab_system_push_tag": {"tag_push", tagOnLab(""), wakesNobody},
	"gitlab_system_repository_update": {"repository_update", push{
		Name: "repository_update", Refs: []string{refMaster}, Project: onLab("http://example.com", "jsmith/example"),
	}, wakesBoth},
	"gitlab_system_merge_request": {"merge_request", push{
		Kind: "merge_request", Repository: repository{URL: "git@example.com:awesome_space/awesome_project.git"}, Project: onLab("http://example.com", "jsmith/example"),
	}, wakesReviewer},
	"gitlab_system_project_create":    {"project_create", push{Name: "project_create"}, wakesNobody},
	"gitlab_system_key_create":        {"key_create", push{Name: "key_create"}, wakesNobody},
	"gitlab_system_user_add_to_team":  {"user_add_to_team", push{Name: "user_add_to_team"}, wakesNobody},
	"gitlab_system_user_failed_login": {"user_failed_login", push{Name: "user_failed_login"}, wakesNobody},

	"gitea_push_main":                 {"push", at(onGitea(), "refs/heads/main"), wakesBoth},
	"gitea_push_form":                 {"push", at(onGitea(), "refs/heads/main"), wakesBoth},
	"gitea_push_topic":                {"push", at(onGitea(), "refs/heads/topic"), wakesReviewer},
	"gitea_create":                    {"create", at(onGitea(), "topic"), wakesNobody},
	"gitea_pull_request_opened":       {"pull_request", onGitea(), wakesReviewer},
	"gitea_pull_request_opened_fork":  {"pull_request", onGitea(), wakesReviewer},
	"gitea_pull_request_synchronized": {"pull_request", onGitea(), wakesReviewer},
	"gitea_pull_request_edited":       {"pull_request", onGitea(), wakesReviewer},
	"gitea_pull_request_closed":       {"pull_request", onGitea(), wakesReviewer},
	"gitea_pull_request_reopened":     {"pull_request", onGitea(), wakesReviewer},
	"gitea_pull_request_merged":       {"pull_request", onGitea(), wakesReviewer},
	"gitea_issue_comment_created":     {"issue_comment", onGitea(), wakesNobody},
	"gitea_status":                    {"status", onGitea(), wakesNobody},
}
