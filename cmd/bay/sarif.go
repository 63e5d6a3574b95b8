package main

import (
	"encoding/json"
	"io"
	"net/url"
	"slices"
	"strings"

	"bayplan.dev/schema"
)

// The shape of SARIF 2.1.0 (OASIS, errata 01), as far as it is used.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool       sarifTool     `json:"tool"`
		ColumnKind string        `json:"columnKind"`
		Results    []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID               string     `json:"id"`
		ShortDescription *sarifText `json:"shortDescription,omitempty"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID           string          `json:"ruleId"`
		RuleIndex        int             `json:"ruleIndex"`
		Level            string          `json:"level"`
		Message          sarifText       `json:"message"`
		Locations        []sarifLocation `json:"locations,omitempty"`
		RelatedLocations []sarifLocation `json:"relatedLocations,omitempty"`
	}
	sarifLocation struct {
		PhysicalLocation sarifPlace `json:"physicalLocation"`
	}
	sarifPlace struct {
		ArtifactLocation sarifFile    `json:"artifactLocation"`
		Region           *sarifRegion `json:"region,omitempty"`
	}
	sarifFile struct {
		URI       string `json:"uri"`
		URIBaseID string `json:"uriBaseId"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn,omitempty"`
		EndColumn   int `json:"endColumn,omitempty"`
	}
)

const sarifSchema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

// writeSARIF writes the report for code scanning.
func writeSARIF(w io.Writer, r report) error {
	rules := r.rules()
	driver := sarifDriver{Name: "bay", Version: version, Rules: []sarifRule{}}
	for _, rule := range rules {
		described := sarifRule{ID: rule}
		if about := r.about(rule); about != "" {
			described.ShortDescription = &sarifText{about}
		}
		driver.Rules = append(driver.Rules, described)
	}
	results := []sarifResult{}
	for _, v := range r.verdicts {
		index, _ := slices.BinarySearch(rules, v.rule)
		result := sarifResult{
			RuleID: v.rule, RuleIndex: index, Level: v.level, Message: sarifText{sarifMessage(v)},
			Locations: []sarifLocation{sarifAt(v.Position, v.width)},
		}
		for _, related := range v.related {
			result.RelatedLocations = append(result.RelatedLocations, sarifAt(schema.Position{File: related.File, Line: related.Line}, 0))
		}
		results = append(results, result)
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(sarifLog{Schema: sarifSchema, Version: "2.1.0", Runs: []sarifRun{{
		Tool: sarifTool{driver}, ColumnKind: "unicodeCodePoints", Results: results,
	}}})
}

// sarifMessage holds no links: "[text](target)" is one even in plain messages
// (SARIF 2.1.0, 3.11.6).
func sarifMessage(v verdict) string {
	text := v.message
	if v.help != "" {
		text += "\n" + v.help
	}
	return strings.ReplaceAll(strings.ToValidUTF8(text, "?"), "](", "] (")
}

func sarifAt(p schema.Position, width int) sarifLocation {
	place := sarifPlace{ArtifactLocation: sarifFile{URI: fileURI(p.File), URIBaseID: "%SRCROOT%"}}
	if p.Line > 0 {
		place.Region = &sarifRegion{StartLine: p.Line, StartColumn: p.Column}
		if p.Column > 0 && width > 0 {
			place.Region.EndColumn = p.Column + width
		}
	}
	return sarifLocation{place}
}

// fileURI is the path as a relative reference: its first part is no scheme.
func fileURI(file string) string {
	parts := strings.Split(file, "/")
	for i, part := range parts {
		parts[i] = strings.ReplaceAll(url.PathEscape(part), ":", "%3A")
	}
	return strings.Join(parts, "/")
}
