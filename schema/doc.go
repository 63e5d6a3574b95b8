// Package schema holds the words of the house: names and ids, the kinds of
// documents, fleets, findings and status. Every other room imports it; it
// imports none.
//
// A [Loader] turns a [Snapshot] of a fleet repository into a [Fleet]: users,
// their spaces, and in these containers and volumes with every default filled
// in. Whatever is wrong with the repository becomes a [Finding], all of them at
// once, and freezes the space that it lies in: what is frozen is neither applied
// nor pruned.
//
// The bounds of all fields stand in the CUE files and nowhere else; the table of
// fields, the sentences of findings and the JSON Schemas for editors are derived
// from them. A document takes this way:
//
//	parse.go       bytes → YAML nodes with positions; what YAML must not hold
//	document.go    nodes → values, field by field: unknown, missing, of a wrong type
//	scalar.go      values → CUE's verdict, once for each value of a field
//	file.go        values → the structs of container.go, volume.go, platform.go …
//	space.go       documents → a Space: duplicates, presets, defaults
//	*_rules.go     rules between fields, documents and spaces
//	issue.go       their findings, placed by reading the file again
//
// Loading is a pure function of the tree: no clock, no network, no cluster.
package schema
