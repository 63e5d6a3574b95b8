//go:build e2e

package main

import (
	"testing"
	"time"
)

// endToEnd is long enough for repacking, polls and many kills to fall into it,
// and short enough for all of them to be over in four minutes.
const endToEnd = 45 * time.Second

func TestE2ECallsHosted(t *testing.T) { raceHosted(t, max(endToEnd, *callsFor)) }

func TestE2ECallsServerKilled(t *testing.T) { raceKilled(t, max(endToEnd, *callsFor)) }

func TestE2ECallsHTTP(t *testing.T) { raceHTTP(t, max(endToEnd, *callsFor)) }

func TestE2ECallsSSH(t *testing.T) { raceSSH(t, max(endToEnd, *callsFor)) }
