package main

import (
	"encoding/xml"
	"fmt"
	"io"

	"bayplan.dev/schema"
)

// The shape that GitLab, Jenkins and others read.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		File    string        `xml:"file,attr,omitempty"`
		Line    int           `xml:"line,attr,omitempty"`
		Time    string        `xml:"time,attr"`
		Failure *junitFailure `xml:"failure"`
		Out     string        `xml:"system-out,omitempty"`
	}
	junitFailure struct {
		Type    string `xml:"type,attr"`
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// writeJUnit writes the report as test results: one suite a file, one case a
// finding. Errors are failures, warnings pass with their text as output. Without
// findings there is one case that passes, because an empty report counts as a
// broken one.
func writeJUnit(w io.Writer, r report) error {
	all := junitSuites{Name: "bay " + r.command}
	for _, file := range r.files() {
		suite := junitSuite{Name: file}
		for _, v := range r.verdicts {
			if v.File == file || v.File == "" && file == "." {
				suite.add(v, file)
			}
		}
		all.add(suite)
	}
	if len(all.Suites) == 0 {
		all.add(junitSuite{Name: r.command, Tests: 1, Cases: []junitCase{{Class: "bay", Name: r.command, Time: "0"}}})
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	encoder := xml.NewEncoder(w)
	encoder.Indent("", "  ")
	if err := encoder.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (s *junitSuites) add(suite junitSuite) {
	s.Tests += suite.Tests
	s.Failures += suite.Failures
	s.Suites = append(s.Suites, suite)
}

func (s *junitSuite) add(v verdict, file string) {
	// The place in the name tells equal findings apart.
	c := junitCase{Class: file, Name: fmt.Sprintf("%s at %s", v.rule, v.Position), File: file, Line: v.Line, Time: "0"}
	if v.level == string(schema.SeverityError) {
		c.Failure = &junitFailure{Type: v.rule, Message: v.message, Text: v.text}
		s.Failures++
	} else {
		c.Out = v.text
	}
	s.Tests++
	s.Cases = append(s.Cases, c)
}
