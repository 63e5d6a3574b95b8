package main

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"runtime"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// The images that every registry of ours has. All consist of this machine's static busybox.
const (
	busyboxImage = "busybox:1" // all of busybox, a home in /home/user
	noshellImage = "noshell:1" // one binary, /httpd: nothing to get in with
	pauseImage   = "pause:1"   // holds a Pod's namespaces
)

// imageRegistry is a name for our registry that never changes, as its port may.
const imageRegistry = "registry.test"

// imageUser is who runs in them: namespaces that are restricted refuse root.
const imageUser = 1000

type namedImage struct {
	name  string
	image v1.Image
}

func ownImages() ([]namedImage, error) {
	busybox, applets, err := readBusybox()
	if err != nil {
		return nil, err
	}
	full := []file{
		{name: "bin", mode: 0o755, dir: true},
		{name: "bin/busybox", mode: 0o755, data: busybox},
		{name: "etc", mode: 0o755, dir: true},
		{name: "etc/passwd", mode: 0o644, data: fmt.Appendf(nil, "root:x:0:0:root:/:/bin/sh\nuser:x:%[1]d:%[1]d:user:/home/user:/bin/sh\n", imageUser)},
		{name: "etc/group", mode: 0o644, data: fmt.Appendf(nil, "root:x:0:\nuser:x:%d:\n", imageUser)},
		{name: "home", mode: 0o755, dir: true},
		{name: "home/user", mode: 0o755, dir: true, owner: imageUser},
		{name: "tmp", mode: 0o1777, dir: true},
		{name: "usr", mode: 0o755, dir: true},
		{name: "usr/bin", mode: 0o755, dir: true},
		{name: "usr/bin/env", mode: 0o777, link: "/bin/busybox"},
	}
	for _, applet := range applets {
		if applet != "busybox" {
			full = append(full, file{name: "bin/" + applet, mode: 0o777, link: "busybox"})
		}
	}
	var images []namedImage
	for _, spec := range []struct {
		name   string
		files  []file
		config v1.Config
	}{
		{busyboxImage, full, v1.Config{Cmd: []string{"sh"}, WorkingDir: "/home/user"}},
		{noshellImage, []file{{name: "httpd", mode: 0o755, data: busybox}}, v1.Config{Entrypoint: []string{"/httpd", "-f", "-p", "8080"}}},
		{pauseImage, []file{{name: "sleep", mode: 0o755, data: busybox}}, v1.Config{Entrypoint: []string{"/sleep", "infinity"}}},
	} {
		spec.config.User = fmt.Sprintf("%[1]d:%[1]d", imageUser)
		spec.config.Env = []string{"PATH=/bin:/usr/bin"}
		image, err := pack(spec.files, spec.config)
		if err != nil {
			return nil, fmt.Errorf("make image %s: %w", spec.name, err)
		}
		images = append(images, namedImage{spec.name, image})
	}
	return images, nil
}

// readBusybox is this machine's busybox, which must need no library, and what it can do.
func readBusybox() ([]byte, []string, error) {
	program, err := exec.LookPath("busybox")
	if err != nil {
		return nil, nil, fmt.Errorf("make images: %w; %s", err, installHint)
	}
	data, err := os.ReadFile(program) //nolint:gosec // Debian's program
	if err != nil {
		return nil, nil, fmt.Errorf("make images: %w", err)
	}
	binary, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil, nil, fmt.Errorf("make images: read %s: %w", program, err)
	}
	for _, segment := range binary.Progs {
		if segment.Type == elf.PT_INTERP {
			return nil, nil, fmt.Errorf("make images: %s needs libraries; %s", program, installHint)
		}
	}
	list, err := exec.Command(program, "--list").Output() //nolint:gosec,noctx // Debian's program, which prints and ends
	if err != nil {
		return nil, nil, fmt.Errorf("make images: %s --list: %w", program, err)
	}
	return data, strings.Fields(string(list)), nil
}

// file is a file, a folder, or a link of an image.
type file struct {
	name  string
	mode  int64
	owner int
	dir   bool
	link  string
	data  []byte
}

// pack makes an image of one layer, the same each time: it has no times in it.
func pack(files []file, config v1.Config) (v1.Image, error) {
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	for _, f := range files {
		header := &tar.Header{Name: path.Clean(f.name), Mode: f.mode, Uid: f.owner, Gid: f.owner, Size: int64(len(f.data)), Typeflag: tar.TypeReg}
		switch {
		case f.dir:
			header.Typeflag = tar.TypeDir
		case f.link != "":
			header.Typeflag, header.Linkname = tar.TypeSymlink, f.link
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	packed, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil })
	if err != nil {
		return nil, err
	}
	image, err := mutate.AppendLayers(empty.Image, packed)
	if err != nil {
		return nil, err
	}
	described, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	described = described.DeepCopy()
	described.OS, described.Architecture, described.Config = "linux", runtime.GOARCH, config
	return mutate.ConfigFile(image, described)
}
