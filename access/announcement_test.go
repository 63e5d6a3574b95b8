package access

import (
	"bytes"
	"strings"
	"testing"
)

// The announcements are found however the text is cut, and nothing else is lost
// but what a terminal shows behind them.
func TestAnnouncementsInPieces(t *testing.T) {
	for _, test := range []struct {
		how        manner
		text, want string
		process    process
	}{
		{
			withInput, "sh: warning\n" + announcement + "42\nfirst\x01bayplan:enx " + ended + "7\n last" + announcement + "7\n",
			"sh: warning\nfirst\x01bayplan:enx  last" + announcement + "7\n",
			process{number: 42, behind: 42, ended: true, code: 7},
		},
		{
			withInput, announcement + "42\n" + ended + "256\n" + ended + "x\n" + ended + "00001\n" + ended + ended + "1 \n" + ended + "0\n",
			ended + "256\n" + ended + "x\n" + ended + "00001\n" + ended + ended + "1 \n",
			process{number: 42, behind: 42, ended: true},
		},
		{
			onTerminal, announcement + "42 57\r\nfirst\r\n" + ended + "143\r\n^Abayplan:heard\r\n",
			"first\r\n",
			process{number: 57, behind: 42, ended: true, code: 143},
		},
		{once, announcement + "42\n" + ended + "1\n", ended + "1\n", process{number: 42, behind: 42}},
		{onTerminal, announcement + "permission denied\r\nx", "x", process{why: "permission denied"}},
	} {
		for size := 1; size <= len(test.text); size++ {
			f := announcements{how: test.how}
			var heard []byte
			var got process
			for rest := test.text; rest != ""; {
				n := min(size, len(rest))
				out, p := f.filter([]byte(rest[:n]))
				heard, rest = append(heard, out...), rest[n:]
				switch {
				case p == nil:
				case p.number > 0 || p.why != "":
					got = *p
				default:
					got.ended, got.code = p.ended, p.code
				}
			}
			heard = append(heard, f.flush()...)
			if string(heard) != test.want || got != test.process {
				t.Errorf("in pieces of %d: %q, %+v, want %q, %+v", size, heard, got, test.want, test.process)
			}
		}
	}
}

func TestAnnouncementsGiveUp(t *testing.T) {
	f := announcements{}
	text := strings.Repeat("x", maxPreamble+1)
	if out, p := f.filter([]byte(text)); string(out) != text || p != nil || f.stage != silent {
		t.Errorf("%d bytes, %+v, stage %d; want all of them", len(out), p, f.stage)
	}
}

func FuzzAnnouncements(f *testing.F) {
	f.Add([]byte("warning\n"+announcement+"42\nx"+ended+"0\ny"), 3)
	f.Add([]byte(announcement+"not found\n"), 1)
	f.Add([]byte(announcement+announcement+"-1\n\x01bayplan:en"), 7)
	f.Add([]byte(announcement+"4 5\r\n"+ended+ended+"00000255\r\n"+ended+"1\r\nx"), 2)
	f.Fuzz(func(t *testing.T, text []byte, size int) {
		size = max(1, size)
		for _, how := range []manner{once, withInput, onTerminal} {
			whole, pieces := announcements{how: how}, announcements{how: how}
			want, _ := whole.filter(bytes.Clone(text))
			want = append(want, whole.flush()...)
			var got []byte
			for rest := text; len(rest) > 0; {
				n := min(size, len(rest))
				out, _ := pieces.filter(bytes.Clone(rest[:n]))
				got, rest = append(got, out...), rest[n:]
			}
			got = append(got, pieces.flush()...)
			if len(text) <= maxPreamble && !bytes.Equal(got, want) {
				t.Errorf("manner %d, in pieces of %d: %q, want %q", how, size, got, want)
			}
		}
	})
}
