package access

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// announcement begins a line that is ours among a command's errors. The first
// says which process the command is, by its number within the container, which
// is how a signal finds it later; or why there is none. The second, which only a
// command with input has, says that it has ended.
const (
	announcement = "\x01bayplan:"
	ended        = "end"
)

// announce says which process a command will be, and becomes it. Nothing else
// of the shell is left, and it does not read the arguments.
const announce = announceCheck + `exec "$@"`

// announceInput does the same for a command with input, but stays behind to
// read what the command has left of it: containerd waits for ever for somebody
// to do so, and what is unread when a connection is closed makes TCP throw away
// the exit code on its way to us. The traps let the shell outlive a signal to
// both, and its own words about that are nobody's business.
const announceInput = announceCheck + `exec 3>&2 2>/dev/null
trap : HUP INT QUIT TERM USR1 USR2 ALRM PIPE
(exec "$@" 2>&3 3>&-)
c=$?
echo "` + announcement + ended + `" >&3
cat >/dev/null || while read -r line; do :; done
exit $c`

const announceCheck = `if case $1 in */*) test -e "$1" ;; *) command -v "$1" >/dev/null 2>&1 ;; esac; then :; else
	echo "` + announcement + `not found" >&2
	exit 127
fi
case $1 in */*) test -x "$1" ;; esac || { echo "` + announcement + `permission denied" >&2; exit 126; }
echo "` + announcement + `$$" >&2
`

// unescape takes the arguments to be as escape made them. Kubernetes passes
// arguments as UTF-8 on, but what a file is called need not be that.
const unescape = `n=$#
while [ "$n" -gt 0 ]; do
	case $1 in
	%*) v=$(printf '%b.' "${1#%}"); v=${v%.} ;;
	*) v=${1#=} ;;
	esac
	shift
	set -- "$@" "$v"
	n=$((n - 1))
done
`

// escaped are the arguments as unescape takes them.
func escaped(arguments []string) []string {
	list := make([]string, len(arguments))
	for i, argument := range arguments {
		list[i] = escape(argument)
	}
	return list
}

func escape(argument string) string {
	if utf8.ValidString(argument) {
		return "=" + argument
	}
	var b strings.Builder
	b.WriteByte('%')
	for _, c := range []byte(argument) {
		if c == '\\' || c < ' ' || c >= utf8.RuneSelf {
			b.WriteString(`\0`)
			b.WriteString(string([]byte{'0' + c>>6, '0' + c>>3&7, '0' + c&7}))
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

// shell is the command line that runs the text with the arguments.
func shell(text string, arguments ...string) []string {
	return append([]string{"sh", "-c", text, "sh"}, arguments...)
}

// announced is the command line that announces the command.
func announced(command []string, input bool) []string {
	text := announce
	if input {
		text = announceInput
	}
	for _, argument := range command {
		if !utf8.ValidString(argument) {
			return shell(unescape+text, escaped(command)...)
		}
	}
	return shell(text, command...)
}

// process is what a command has announced.
type process struct {
	// number is 0 when it hasn't, and why says what keeps it from running.
	number int
	why    string
	// ended is true when it has said so.
	ended bool
}

// maxPreamble bounds what a shell may complain of before the announcement.
const maxPreamble = 4 << 10

// stage is which announcement is waited for.
type stage int

const (
	starting stage = iota
	ending
	silent
)

// announcements takes the announcements out of what it is given.
type announcements struct {
	stage stage
	// input is true for a command that announces its end too.
	input bool
	// held is what may be the beginning of an announcement.
	held []byte
}

// filter returns what of the data is to be passed on, and what was announced in
// it. It keeps nothing of data itself.
func (f *announcements) filter(data []byte) ([]byte, *process) {
	if f.stage == silent {
		return data, nil
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
			if f.input && p.number > 0 {
				f.stage = ending
			}
		case len(f.held) > maxPreamble:
			f.stage = silent
		default:
			return nil, nil
		}
	}
	if f.stage == ending {
		const end = announcement + ended + "\n"
		before, after, found := bytes.Cut(f.held, []byte(end))
		if !found {
			keep := overlap(f.held, end)
			out = append(out, f.held[:len(f.held)-keep]...)
			f.held = append([]byte(nil), f.held[len(f.held)-keep:]...)
			return out, p
		}
		if p == nil {
			p = &process{}
		}
		p.ended = true
		out, f.held, f.stage = append(out, before...), after, silent
	}
	return append(out, f.flush()...), p
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
	f.held, f.stage = nil, silent
	return held
}

func parseProcess(text string) *process {
	number, err := strconv.Atoi(text)
	if err != nil || number <= 0 {
		return &process{why: text}
	}
	return &process{number: number}
}

// foreground finds the process group that is in the foreground of the
// command's terminal, or that of the command itself where it has none. The
// numbers of /proc/<process>/stat behind the name in brackets are: state,
// parent, group, session, terminal, foreground group.
const foreground = `g=$1
if read -r s 2>/dev/null <"/proc/$1/stat"; then
	t=${s##*) }
	set -- "$1" "$2" $t
	case $8 in '' | -* | 0) ;; *) g=$8 ;; esac
fi
`

// send sends signal $2 to what process $1 has in the foreground.
const send = foreground + `kill -"$2" -"$g" 2>/dev/null || kill -"$2" "$1"`

// stop hangs up as a terminal does that is switched off, asks to end, and after
// two seconds insists. What has left the command's process group goes on.
const stop = foreground + `for signal in HUP CONT TERM; do
	kill -$signal -"$g" 2>/dev/null
	[ "$g" = "$1" ] || kill -$signal -"$1" 2>/dev/null
done
n=20
while [ "$n" -gt 0 ] && kill -0 "$1" 2>/dev/null; do
	sleep 0.1 2>/dev/null || { sleep 1; n=$((n - 9)); }
	n=$((n - 1))
done
kill -0 "$1" 2>/dev/null || exit 0
kill -KILL -"$g" 2>/dev/null
kill -KILL -"$1" 2>/dev/null || kill -KILL "$1" 2>/dev/null || :`

// signals are those that may be sent, by number.
var signals = map[int]string{ //nolint:gochecknoglobals // a table
	1: "HUP", 2: "INT", 3: "QUIT", 4: "ILL", 5: "TRAP", 6: "ABRT", 7: "BUS", 8: "FPE", 9: "KILL",
	10: "USR1", 11: "SEGV", 12: "USR2", 13: "PIPE", 14: "ALRM", 15: "TERM", 24: "XCPU", 25: "XFSZ", 31: "SYS",
	18: "CONT", 19: "STOP", 20: "TSTP", 28: "WINCH",
}

func isSignal(name string) bool {
	for _, known := range signals {
		if known == name {
			return true
		}
	}
	return false
}

// exitOf is how the command with the code ended.
func exitOf(code int) Exit {
	e := Exit{Code: code}
	if number := code - 128; number > 0 {
		switch name := signals[number]; name {
		case "CONT", "STOP", "TSTP", "WINCH":
			// These end nothing.
		default:
			e.Signal = name
		}
	}
	return e
}
