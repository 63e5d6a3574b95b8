// Package examples holds fleet repositories to start from. Each is validated, and
// all but ci are rendered and applied, by the tests.
package examples

import (
	"embed"
	"io/fs"
)

//go:embed quickstart shop platform
var files embed.FS

// Quickstart is a fleet repository of one container.
func Quickstart() fs.FS { return folder("quickstart") }

// Shop is a fleet repository of several containers in one space.
func Shop() fs.FS { return folder("shop") }

// Platform is a fleet repository with limits, presets and an overlay.
func Platform() fs.FS { return folder("platform") }

func folder(name string) fs.FS {
	sub, err := fs.Sub(files, name)
	if err != nil {
		panic(err) // the name is a constant of this file
	}
	return sub
}
