package cli

import (
	"fmt"
	"io"
	"os"
)

// openInput opens the file that an argument names, or takes what is piped in where there is none, or where it is "-".
func openInput(p Process, args []string) (io.Reader, func(), error) {
	if len(args) == 0 || args[0] == "-" {
		return p.Stdin, func() {}, nil
	}
	f, err := os.Open(args[0])
	if err != nil {
		return nil, nil, usage(fmt.Errorf("read the input: %w", err))
	}
	return f, func() { _ = f.Close() }, nil
}
