package access

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// announcement is what comes before a command's own errors: the number of its
// process within the container, which is how a signal finds it later. "-" in
// place of the number says that there is no such program.
const announcement = "\x01bayplan:"

// announce replaces itself by a command and its arguments, after it has said
// which process that will be. Nothing else of it is left, and the shell does
// not read the arguments.
const announce = `case $1 in */*) test -x "$1" ;; *) command -v "$1" >/dev/null ;; esac || { echo "` + announcement + `-" >&2; exit 127; }
echo "` + announcement + `$$" >&2
exec "$@"`

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
func announced(command []string) []string {
	for _, argument := range command {
		if !utf8.ValidString(argument) {
			return shell(unescape+announce, escaped(command)...)
		}
	}
	return shell(announce, command...)
}

// process is what a command has announced.
type process struct {
	// number is 0 when it hasn't, and missing true when there is no such program.
	number  int
	missing bool
}

// maxPreamble bounds what a shell may complain of before the announcement.
const maxPreamble = 4 << 10

// announcements takes the announcement out of what it is given.
type announcements struct {
	held []byte
	done bool
}

// filter returns what of the data is to be passed on, and the announcement
// once it is complete.
func (f *announcements) filter(data []byte) ([]byte, *process) {
	if f.done {
		return data, nil
	}
	f.held = append(f.held, data...)
	before, rest, found := bytes.Cut(f.held, []byte(announcement))
	if found {
		if text, after, complete := bytes.Cut(rest, []byte("\n")); complete {
			f.flush()
			return append(before[:len(before):len(before)], after...), parseProcess(string(bytes.TrimSuffix(text, []byte("\r"))))
		}
	}
	if len(f.held) > maxPreamble {
		return f.flush(), nil
	}
	return nil, nil
}

// flush returns what was held back, and holds back no more.
func (f *announcements) flush() []byte {
	held := f.held
	f.held, f.done = nil, true
	return held
}

func parseProcess(text string) *process {
	if text == "-" {
		return &process{missing: true}
	}
	number, err := strconv.Atoi(text)
	if err != nil || number <= 0 {
		return &process{}
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
kill -KILL -"$1" 2>/dev/null || kill -KILL "$1"`

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
