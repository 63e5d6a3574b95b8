package access

import (
	"bytes"
	"strconv"
	"strings"
)

// process is what a command has announced.
type process struct {
	// number is 0 when it hasn't, and why says what keeps it from running.
	number int
	why    string
	// behind is the number of the shell that stays behind, or the same one.
	behind int
	// ended is true when it has said so, and code how.
	ended bool
	code  int
}

const (
	// maxPreamble bounds what a shell may complain of before the announcement.
	maxPreamble = 4 << 10
	// maxEnd bounds what follows the word of the end, the line's own end included.
	maxEnd = len("255\r\n")
)

// stage is which announcement is waited for.
type stage int

const (
	starting stage = iota
	ending
	silent
	// over is a terminal's whose command has ended: what still comes is the echo
	// of our own words.
	over
)

// announcements takes the announcements out of what it is given.
type announcements struct {
	stage stage
	how   manner
	// held is what may be the beginning of an announcement.
	held []byte
}

// filter returns what of the data is to be passed on, and what was announced in
// it. It keeps nothing of data itself.
func (f *announcements) filter(data []byte) ([]byte, *process) {
	switch f.stage {
	case silent:
		return data, nil
	case over:
		return nil, nil
	case starting, ending:
	}
	f.held = append(f.held, data...)
	var out []byte
	var p *process
	if f.stage == starting {
		before, rest, begun := bytes.Cut(f.held, []byte(announcement))
		text, after, complete := bytes.Cut(rest, []byte("\n"))
		switch {
		case begun && complete:
			p = parseProcess(string(bytes.TrimSuffix(text, []byte("\r"))))
			out, f.held, f.stage = append(out, before...), after, silent
			if f.how != once && p.number > 0 {
				f.stage = ending
			}
		case len(f.held) > maxPreamble:
			f.stage = silent
		default:
			return nil, nil
		}
	}
	if f.stage == ending {
		before, code, found := f.end()
		out = append(out, before...)
		if !found {
			return out, p
		}
		if p == nil {
			p = &process{}
		}
		p.ended, p.code = true, code
	}
	return append(out, f.flush()...), p
}

// end looks for the word of the end in what is held, and returns what is before
// it, or what can't belong to it.
func (f *announcements) end() ([]byte, int, bool) {
	var out []byte
	for {
		before, rest, found := bytes.Cut(f.held, []byte(ended))
		if !found {
			keep := overlap(f.held, ended)
			out = append(out, f.held[:len(f.held)-keep]...)
			f.held = append([]byte(nil), f.held[len(f.held)-keep:]...)
			return out, 0, false
		}
		out = append(out, before...)
		text, after, complete := bytes.Cut(rest, []byte("\n"))
		if !complete && len(rest) < maxEnd {
			f.held = append([]byte(nil), f.held[len(before):]...)
			return out, 0, false
		}
		code, err := strconv.ParseUint(string(bytes.TrimSuffix(text, []byte("\r"))), 10, 8)
		if !complete || len(text) >= maxEnd || err != nil {
			out, f.held = append(out, ended...), rest // somebody else's
			continue
		}
		f.held, f.stage = after, silent
		if f.how == onTerminal {
			f.held, f.stage = nil, over
		}
		return out, int(code), true
	}
}

// overlap is how many bytes at the end of data could begin the word.
func overlap(data []byte, word string) int {
	for n := min(len(data), len(word)-1); n > 0; n-- {
		if string(data[len(data)-n:]) == word[:n] {
			return n
		}
	}
	return 0
}

// flush returns what was held back, and holds back no more.
func (f *announcements) flush() []byte {
	held := f.held
	f.held = nil
	if f.stage != over {
		f.stage = silent
	}
	return held
}

// parseProcess reads "42", "42 57" or why there is none.
func parseProcess(text string) *process {
	first, second, both := strings.Cut(text, " ")
	behind, err := strconv.Atoi(first)
	number := behind
	if err == nil && both {
		number, err = strconv.Atoi(second)
	}
	if err != nil || number <= 0 || behind <= 0 {
		return &process{why: text}
	}
	return &process{number: number, behind: behind}
}
