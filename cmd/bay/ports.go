package main

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"bayplan.dev/schema"
	"bayplan.dev/webhook"
)

func (a *app) portsCommand() *cobra.Command {
	list := &cobra.Command{Use: "list ID", Aliases: []string{"ls"}, Short: "List the ways into a container by host name", Args: cobra.ExactArgs(1)}
	conn, format := a.connectFlags(list), outputFlag(list)
	list.ValidArgsFunction = firstArg(conn.complete(containerIDs))
	list.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := conn.client(cmd)
		if err != nil {
			return err
		}
		var all webhook.List[webhook.IngressRule]
		if err := c.get(cmd.Context(), pathOf("containers", args[0], "ingress"), nil, &all); err != nil {
			return err
		}
		return a.show(cmd, portTable(all, all.Items), *format)
	}
	cmd := nounCommand("ports ID", "List, add and remove the ways into a container by host name", list, a.portAddCommand(), a.portRemoveCommand())
	cmd.Args = usageArgs(cobra.ExactArgs(1))
	cmd.ValidArgsFunction = list.ValidArgsFunction
	return cmd
}

func portTable(value any, items []webhook.IngressRule) table {
	t := table{value: value, columns: []string{"PORT", "TARGET", "URL"}}
	for _, r := range items {
		t.names = append(t.names, r.URL)
		t.rows = append(t.rows, []string{strconv.Itoa(int(r.Port)), strconv.Itoa(int(r.TargetPort)), r.URL})
	}
	return t
}

// portPair reads 80:8080, a port outside and the one that the container
// listens on; 80 alone means both.
func portPair(text string) (port, target int32, err error) {
	outside, inside, both := strings.Cut(text, ":")
	if port, err = portNumber(outside); err != nil || !both {
		return port, port, err
	}
	target, err = portNumber(inside)
	return port, target, err
}

func portNumber(text string) (int32, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return 0, schema.Errorf(schema.Invalid, "%q is no port between 1 and 65535", text)
	}
	return int32(n), nil
}

func (a *app) portAddCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "add ID PORT[:TARGET]", Short: "Make a port reachable by host name",
		Example: "  bay ports add alice--web 80:8080 --host shop.example.com",
		Args:    cobra.ExactArgs(2),
	}
	flags := a.writeFlags(cmd)
	host := cmd.Flags().String("host", "", "the host name (default <id>.<domain>)")
	path := cmd.Flags().String("path", "", "only what begins with this path")
	cmd.ValidArgsFunction = firstArg(flags.conn.complete(containerIDs))
	flags.one(cmd, func(args []string) (string, request, error) {
		port, target, err := portPair(args[1])
		if err != nil {
			return "", request{}, usagef(cmd, "%w", err)
		}
		body := webhook.NewIngress{Port: int64(port), TargetPort: int64(target), Host: *host, Path: *path}
		return "port " + args[1], post(pathOf("containers", args[0], "ingress"), body), nil
	})
	return cmd
}

func (a *app) portRemoveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "remove ID PORT", Aliases: []string{"rm", "delete"}, Short: "Close a port again",
		Example: "  bay ports remove alice--web 80",
		Args:    cobra.ExactArgs(2),
	}
	flags := a.writeFlags(cmd)
	host := cmd.Flags().String("host", "", "only at this host name")
	path := cmd.Flags().String("path", "", "only at this path")
	cmd.ValidArgsFunction = firstArg(flags.conn.complete(containerIDs))
	flags.one(cmd, func(args []string) (string, request, error) {
		if _, err := portNumber(args[1]); err != nil {
			return "", request{}, usagef(cmd, "%w", err)
		}
		return "port " + args[1], request{
			method: http.MethodDelete, path: pathOf("containers", args[0], "ingress", args[1]), query: filters("host", *host, "path", *path),
		}, nil
	})
	return cmd
}
