package main

import "github.com/spf13/cobra"

// clientCommands are the verbs and nouns of a server.
func (a *app) clientCommands() []*cobra.Command {
	commands := []*cobra.Command{
		a.runCommand(), a.listCommand(), a.getCommand(), a.statusCommand(), a.waitCommand(), a.syncCommand(),
		a.createCommand(), a.editCommand(), a.deleteCommand(),
		a.historyCommand(), a.rollbackCommand(), a.openCommand(), a.portsCommand(),
		a.volumesCommand(), a.spacesCommand(), a.keysCommand(), a.imagesCommand(), a.presetsCommand(), a.operationsCommand(),
	}
	commands = append(commands, a.stateCommands()...)
	return append(commands,
		a.logsCommand(), a.execCommand(), a.sshCommand(), a.sshConfigCommand(), a.copyCommand(), a.portForwardCommand(),
		a.metricsCommand(), a.eventsCommand(),
	)
}

// accessCommands say which server, and as whom.
func (a *app) accessCommands() []*cobra.Command {
	return []*cobra.Command{a.loginCommand(), a.logoutCommand(), a.whoamiCommand(), a.configCommand(), a.gitCredentialCommand()}
}
