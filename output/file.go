package output

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Stdout is the file name that stands for the standard output; so does the empty name.
const Stdout = "-"

// Create opens a file for writing, emptying it if it exists; what is written is compressed when the
// name ends in .gz. The name Stdout gives stdout, which Close then leaves open.
func Create(name string, stdout io.Writer) (io.WriteCloser, error) {
	if name == "" || name == Stdout {
		return open{stdout}, nil
	}
	f, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("create output file: %w", err)
	}
	if strings.HasSuffix(name, ".gz") {
		return &zipped{gzip.NewWriter(f), f}, nil
	}
	return f, nil
}

// open is a writer that is not ours to close.
type open struct{ io.Writer }

func (open) Close() error { return nil }

// zipped is a compressed file.
type zipped struct {
	*gzip.Writer
	file *os.File
}

func (z *zipped) Close() error { return errors.Join(z.Writer.Close(), z.file.Close()) }
