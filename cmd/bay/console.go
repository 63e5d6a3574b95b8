package main

import (
	"bayplan.dev/console"
	"bayplan.dev/webhook"
)

// consoleOptions adds the web page, and what it alone needs of the API.
func (s *server) consoleOptions(o *webhook.Options) error {
	page, err := console.New()
	if err != nil {
		return err
	}
	o.Console = page
	return nil
}
