package isolate

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"hive/engine/executor"
)

// numberSize is how many bytes a number of a record takes.
const numberSize = int(unsafe.Sizeof(atomic.Int64{}))

// record is memory that a child shares with this process, and which outlives it: what the child wrote last can be read
// however it ended.
type record struct {
	file *os.File // nil once the child has it
	data []byte
}

// newRecord makes one of n numbers, all 0.
func newRecord(n int) (*record, error) {
	fd, err := unix.MemfdCreate("hive-engine", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memory to share with the engine process: %w", err)
	}
	file := os.NewFile(uintptr(fd), "record")
	if err := file.Truncate(int64(n * numberSize)); err != nil {
		return nil, errors.Join(fmt.Errorf("memory to share with the engine process: %w", err), file.Close())
	}
	data, err := mapped(file)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &record{file, data}, nil
}

// inheritedRecord is the one that the parent left open for this process.
func inheritedRecord() (executor.Begun, error) {
	unix.CloseOnExec(recordFile)
	file := os.NewFile(recordFile, "record")
	defer file.Close()
	data, err := mapped(file)
	if err != nil {
		return nil, err
	}
	return numbers(data), nil
}

func mapped(file *os.File) ([]byte, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("memory to share with the engine process: %w", err)
	}
	data, err := unix.Mmap(int(file.Fd()), 0, int(info.Size()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("memory to share with the engine process: %w", err)
	}
	return data, nil
}

// numbers is the memory as those who count see it; a mapping begins where a page does.
func numbers(data []byte) executor.Begun {
	return unsafe.Slice((*atomic.Int64)(unsafe.Pointer(unsafe.SliceData(data))), len(data)/numberSize)
}

// marks are what the record says; nil when there is none.
func (r *record) marks(scenarios []executor.Scenario) []executor.Marks {
	if r == nil {
		return nil
	}
	return numbers(r.data).Marks(scenarios)
}

// handed closes the file, which is the child's now.
func (r *record) handed() error {
	if r == nil || r.file == nil {
		return nil
	}
	file := r.file
	r.file = nil
	return file.Close()
}

// free gives the memory back; it must not be read after that.
func (r *record) free() error {
	if r == nil || r.data == nil {
		return nil
	}
	data := r.data
	r.data = nil
	return errors.Join(r.handed(), unix.Munmap(data))
}
