package archive

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// MaxFileSize is the most that one file of a test may weigh, in bytes.
const MaxFileSize = 1 << 30

// Disk reads file URLs from this machine. It knows no other kind.
type Disk struct{}

// ReadFile reads the file of a file:// URL. The error names the path and says when it is no file.
func (Disk) ReadFile(_ context.Context, url string) ([]byte, error) {
	name, err := filePath(url)
	if err != nil {
		return nil, err
	}
	f, err := openRegular(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(data) > MaxFileSize {
		return nil, fmt.Errorf("read %s: larger than %d bytes", name, MaxFileSize)
	}
	return data, nil
}

// openRegular opens a file or a named pipe; devices could go on for ever.
func openRegular(name string) (*os.File, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s is a directory, not a file", name)
	}
	if kind := info.Mode().Type(); kind != 0 && kind != fs.ModeNamedPipe {
		return nil, fmt.Errorf("%s is no regular file (%s)", name, info.Mode())
	}
	return os.Open(name)
}
