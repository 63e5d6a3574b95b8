// Package pulls reviews the pull requests of a fleet repository on the server,
// and tells the forge what became of each head of the branch.
//
//	reviewer := pulls.New(pulls.Options{Forge: forge, Repository: repo, …})
//	go reviewer.Run(ctx)
//	reviewer.Poke() // somebody has pushed
//
// A look lists the open pull requests. What is new gets two statuses at once,
// pending; then the commit where it left the branch and its head are loaded and
// compared, and the statuses and one comment say what merging it would do:
//
//	bayplan/validate  failure when it adds findings of severity error
//	bayplan/plan      what is created, changed and deleted, and the dangers
//	bayplan/sync      of the branch's head: whether the cluster holds it
//	bayplan/findings  the findings at their lines, where the forge can do that
//
// The input may be anybody's. It is YAML that is compared without a cluster, a
// network or a process; how much is fetched, unpacked, read and compared, and
// how long, is bounded, and what exceeds that is told instead. One that takes
// long comes after those that don't. Everything that users wrote stands in code
// spans (see review.Markdown), and nothing is known of the pull request but its
// number and commits.
//
// Nothing is stored: after a start everything is computed again, and the forge
// hears only what it doesn't say already. What it should hear waits in a bounded
// queue, the latest of each status and comment, until it answers again.
package pulls
