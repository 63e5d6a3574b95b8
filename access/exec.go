package access

import "io"

// Exec is a command and what it is connected to; nil is nothing.
type Exec struct {
	// Command and its arguments are passed as they are; no shell reads them.
	Command []string
	// Stdin may still be waited for when the command has ended; close it then.
	// A Read that fails ends the command, io.EOF only its input.
	Stdin io.Reader
	// A Write that fails ends the command. None is under way, and none begins,
	// once Exec has returned: one that blocks must give up when ctx ends.
	Stdout, Stderr io.Writer
	// TTY gives the command a terminal; what it writes is all in Stdout.
	TTY bool
	// Resize tells the size of the terminal; the first one should be in it already.
	Resize <-chan Size
	// Signals are sent to the command, by their names without SIG: "INT". One
	// on a terminal goes to whatever is in its foreground. An image without a
	// shell has nobody to send them; they are dropped.
	Signals <-chan string
}

// Size is that of a terminal, in characters.
type Size struct {
	Columns uint16
	Rows    uint16
}

// Exit is how a command ended.
type Exit struct {
	// Code is 0 to 255 as a shell says it: 128 and a signal's number for a
	// command that the signal ended.
	Code int
	// Signal is the name without SIG of the signal that Code tells of, or
	// empty. A command that ends itself with 137 can't be told from one that
	// was killed: where only one may be passed on, Code is the truth.
	Signal string
}
