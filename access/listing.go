package access

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"bayplan.dev/schema"
)

const (
	// maxFiles bounds a listing.
	maxFiles = 100_000
	// maxFields bounds what stands before a name in bytes.
	maxFields = 128
)

var errListing = schema.Errorf(schema.Unavailable, "the container's stat answers in words that aren't known")

// parseListing reads what listScript writes: lines of fields and a name with
// "./" before and "/" behind it; a NUL; then names and targets, each ended
// with a NUL. The container wrote it, so it may be anything.
func parseListing(r io.Reader, dir string) ([]FileInfo, error) {
	text := bufio.NewReaderSize(r, copySize)
	var list []FileInfo
	links := map[string]int{}
	for {
		if first, err := text.Peek(1); err != nil {
			return nil, errors.Join(errListing, err)
		} else if first[0] == 0 {
			_, _ = text.Discard(1)
			break
		}
		if len(list) == maxFiles {
			return nil, schema.Errorf(schema.Exceeded, "%s holds more than %d files; list it in the container", printable(dir), maxFiles)
		}
		info, err := parseEntry(text, dir)
		if err != nil {
			return nil, err
		}
		if info.Type == TypeSymlink {
			links[info.Name] = len(list)
		}
		list = append(list, info)
	}
	for {
		name, err := until(text, 0, len("./")+maxPath+1)
		if errors.Is(err, io.EOF) && name == "" {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		target, err := until(text, 0, maxPath+2)
		if err != nil {
			return nil, err
		}
		if i, ok := links[strings.TrimPrefix(name, "./")]; ok {
			list[i].Target = strings.TrimSuffix(target, "\n")
		}
	}
}

// parseEntry reads one line: "81a4 12 1700000000 0 0 ./name/".
func parseEntry(text *bufio.Reader, dir string) (FileInfo, error) {
	info, err := parseFields(text, '.')
	if err != nil {
		return FileInfo{}, err
	}
	if slash, err := text.ReadByte(); err != nil || slash != '/' {
		return FileInfo{}, errListing
	}
	name, err := until(text, '/', maxPath+1)
	if err != nil {
		return FileInfo{}, err
	}
	if end, err := text.ReadByte(); err != nil || end != '\n' || name == "" || name == "." || name == ".." || strings.ContainsRune(name, 0) {
		return FileInfo{}, errListing
	}
	info.Name, info.Path = name, path.Join(dir, name)
	return info, nil
}

// parseStat reads what statScript writes: a line of fields, and the target of
// a symlink.
func parseStat(r io.Reader, name string) (FileInfo, error) {
	text := bufio.NewReader(r)
	info, err := parseFields(text, '\n')
	if err != nil {
		return FileInfo{}, err
	}
	target, err := io.ReadAll(io.LimitReader(text, maxPath+2))
	if err != nil {
		return FileInfo{}, err
	}
	info.Name, info.Path = path.Base(name), name
	info.Target = strings.TrimSuffix(string(target), "\n")
	return info, nil
}

// parseFields reads the fields of a file up to the byte.
func parseFields(text *bufio.Reader, end byte) (FileInfo, error) {
	line, err := until(text, end, maxFields)
	if err != nil {
		return FileInfo{}, err
	}
	fields := strings.Fields(line)
	if len(fields) != 5 {
		return FileInfo{}, errListing
	}
	raw, err := strconv.ParseUint(fields[0], 16, 32)
	var numbers [4]int64
	for i, field := range fields[1:] {
		number, invalid := strconv.ParseInt(field, 10, 64)
		numbers[i], err = number, errors.Join(err, invalid)
	}
	if err != nil || numbers[0] < 0 || numbers[2] < 0 || numbers[3] < 0 {
		return FileInfo{}, errListing
	}
	info := FileInfo{Size: numbers[0], Modified: time.Unix(numbers[1], 0).UTC(), UID: uint32(numbers[2]), GID: uint32(numbers[3])}
	info.Mode, info.Type = modeOf(uint32(raw))
	return info, nil
}

// until reads up to the byte, which is at most limit bytes away, and past it.
func until(text *bufio.Reader, end byte, limit int) (string, error) {
	var b strings.Builder
	for b.Len() <= limit {
		c, err := text.ReadByte()
		if err != nil {
			if b.Len() > 0 && errors.Is(err, io.EOF) {
				err = errListing
			}
			return b.String(), err
		}
		if c == end {
			return b.String(), nil
		}
		b.WriteByte(c)
	}
	return "", errListing
}

// modeOf translates a Unix mode (inode(7)).
func modeOf(raw uint32) (fs.FileMode, FileType) {
	mode := fs.FileMode(raw & 0o777)
	for bit, unix := range specialBits {
		if raw&unix != 0 {
			mode |= bit
		}
	}
	switch raw & 0o170000 {
	case 0o100000:
		return mode, TypeFile
	case 0o040000:
		return mode | fs.ModeDir, TypeDirectory
	case 0o120000:
		return mode | fs.ModeSymlink, TypeSymlink
	case 0o060000:
		return mode | fs.ModeDevice, TypeOther
	case 0o020000:
		return mode | fs.ModeDevice | fs.ModeCharDevice, TypeOther
	case 0o010000:
		return mode | fs.ModeNamedPipe, TypeOther
	case 0o140000:
		return mode | fs.ModeSocket, TypeOther
	}
	return mode | fs.ModeIrregular, TypeOther
}
