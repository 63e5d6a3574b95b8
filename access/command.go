package access

import (
	"strings"
	"unicode/utf8"
)

// announcement begins a line that is ours among a command's errors. The first
// says which process the command is, by its number within the container, which
// is how a signal finds it later; or why there is none. The second, which only a
// command with input has, says that it has ended, and with which code.
const (
	announcement = "\x01bayplan:"
	ended        = announcement + "end "
	// heardOf is what a terminal's shell waits for when it has said so.
	heardOf = announcement + "heard"
	// opening is what comes before a command's input.
	opening = "\n"
)

// announce says which process a command will be, and becomes it. Nothing else
// of the shell is left, and it does not read the arguments.
const announce = announceCheck + announceItself + `exec "$@"`

// announceInput does the same for a command with input, but reads the opening
// first: it shows that the input is connected, which containerd does beside the
// command's start, losing an end that comes earlier. It stays behind to read
// what the command has left of the input: containerd waits for ever for somebody
// to do so, and what is unread when a connection is closed makes TCP throw away
// the exit code on its way to us. The traps let the shell outlive a signal to
// both, and its own words about that are nobody's business.
const announceInput = announceBehind + `read -r bayplan_opening
` + announceCheck + announceItself + `exec 3>&2 2>/dev/null
trap : HUP INT QUIT TERM USR1 USR2 ALRM PIPE
(exec "$@" 2>&3 3>&-)
c=$?
echo "` + ended + `$c" >&3
cat >/dev/null || while read -r line; do :; done
exit $c`

// announceTerminal does it on a terminal, where the input has no end: who stays
// behind waits for a word of ours. Whatever we write when nobody is there any
// more makes those in between drop all that is on its way to us, the exit code
// and the last of the output. The command gets a process of its own, which may
// take the terminal and its group as a shell does, and says both numbers.
const announceTerminal = announceBehind + announceCheck + `exec 3>&2 2>/dev/null
trap bayplan_cut=y HUP TERM
trap : INT QUIT USR1 USR2 ALRM PIPE
(exec sh -c 'echo "` + announcement + `$0 $$"; exec "$@"' "$$" "$@" 2>&3 3>&-)
c=$? n=20 t='-t 1'
trap '' TTIN TTOU
echo "` + ended + `$c"
(read -r $t line) </dev/null
[ $? -le 1 ] || t=
while [ -z "$bayplan_cut" ] && [ $n -gt 0 ]; do
	if read -r $t line; then
		case $line in *` + heardOf + `) break ;; esac
	else
		n=$((n - 1))
		sleep 0.1 || sleep 1
	fi
done
exit $c`

// announceBehind is what those read who list processes.
const announceBehind = `# bayplan: waits to tell how the command ended
`

const announceCheck = `if case $1 in */*) test -e "$1" ;; *) command -v "$1" >/dev/null 2>&1 ;; esac; then :; else
	echo "` + announcement + `not found" >&2
	exit 127
fi
case $1 in */*) test -x "$1" ;; esac || { echo "` + announcement + `permission denied" >&2; exit 126; }
`

const announceItself = `echo "` + announcement + `$$" >&2
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

// manner is how a command is announced.
type manner int

const (
	// once says only that it begins; there is no input, or nobody to read it.
	once manner = iota
	// withInput says that it has ended, too, and so does onTerminal.
	withInput
	onTerminal
)

// announced is the command line that announces the command.
func announced(command []string, how manner) []string {
	text := announce
	switch how {
	case once:
	case withInput:
		text = announceInput
	case onTerminal:
		text = announceTerminal
	}
	for _, argument := range command {
		if !utf8.ValidString(argument) {
			return shell(unescape+text, escaped(command)...)
		}
	}
	return shell(text, command...)
}

// groupsOf are the process group of process $1 and that in the foreground of its
// terminal, or -1. The numbers of /proc/<process>/stat behind the name in brackets
// are: state, parent, group, session, terminal, foreground group.
const groupsOf = `groups() {
	read -r stat 2>/dev/null <"/proc/$1/stat" || return
	set -- ${stat##*) }
	echo "$3 $6"
}
`

// send sends signal $2 to what process $1 has in the foreground, or its group.
const send = groupsOf + `g=$(groups "$1") f=${g#* }
case $f in '' | -* | 0) f=$1 ;; esac
kill -"$2" -"$f" 2>/dev/null || kill -"$2" "$1"`

// stop hangs up on process $2 as a terminal does that is switched off, asks to
// end, and after two seconds insists, and on process $1, which has stayed
// behind for it and may be the same. What has left the process groups goes on.
const stop = groupsOf + `all=
for g in $(groups "$2") "$1"; do
	case " $all " in *" $g "*) ;; *) [ "$g" -le 1 ] || all="$all $g" ;; esac
done
for signal in HUP CONT TERM; do
	for g in $all; do kill -$signal -"$g" 2>/dev/null; done
done
alive() { kill -0 "$1" 2>/dev/null || kill -0 "$2" 2>/dev/null; }
n=20
while [ "$n" -gt 0 ] && alive "$@"; do
	sleep 0.1 2>/dev/null || { sleep 1; n=$((n - 9)); }
	n=$((n - 1))
done
alive "$@" || exit 0
for g in $all; do kill -KILL -"$g" 2>/dev/null; done
kill -KILL "$1" 2>/dev/null
kill -KILL "$2" 2>/dev/null || :`

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
