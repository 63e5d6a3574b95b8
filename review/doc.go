// Package review says what a change of a fleet repository really does: for
// every container, volume, space, SSH key and the platform what is created,
// changed or deleted, what that means, and which objects of the cluster differ
// behind it.
//
//	plan, err := review.Compare(ctx, base, head, review.Options{Render: renderer.Space})
//	fmt.Print(review.Text(plan, review.TextOptions{}))
//
// [Compare] needs two fleets and nothing else: no cluster, no clock, no network.
// The same two fleets give the same plan, whose size is bounded; what was left
// out for that is said in [Plan.Cut]. Only spaces whose digests differ are
// looked at, so that a review costs what has changed.
//
// What a change means is told by its cautions, whose names are stable (caution.go
// lists them). They are read off the rendered objects wherever these decide: a
// container restarts exactly when the template of its Pod differs, and egress
// is widened when a NetworkPolicy allows what none of those before did.
//
// A plan shows no secrets: values of environment variables, of HTTP headers and
// of ConfigMaps are left out unless Options.ShowValues asks for them, and so is
// what looks like a secret among a container's arguments. That they differ is
// always told.
//
// The texts of a plan come from users. [Text] makes what a terminal would obey
// visible, and [Markdown] puts everything where a forge takes nothing for a
// mention, a link, HTML or the end of a table.
package review
