package store

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"google.golang.org/protobuf/proto"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

const (
	// walName is the write-ahead log's file in the data directory. It is there while a hub runs, and after one that was killed.
	walName = "hub.wal"
	// walSize is how long it may get, in bytes.
	walSize = 8 << 20
	// walPage is where records begin, in bytes: on a page of their own, so that a write that is cut short damages none before it.
	walPage = 4096
	// walReserve is how much of the file gets its place on the disk at once, in bytes: to write over what is there costs a sync half of what it costs where the file grows.
	walReserve = 256 << 10
	// maxRecord is the largest record, in bytes.
	maxRecord = 1 << 20
	// recordHead is what stands before a record's body: checksum of all that follows (4 bytes), the body's length (4), sequence (8), all big endian, and the log's id (16).
	recordHead = 4 + 4 + 8 + walIDSize
	walIDSize  = 16
)

// wal is a file of records, written one after the other, and from the start again when its end is reached. It is for one goroutine at a time.
type wal struct {
	path     string
	file     *os.File
	id       []byte
	sequence uint64 // of the newest record
	at       int64  // where the next one begins, if there is room
	size     int64
	reserved int64 // up to where the file has its place on the disk
	// writeAt and sync are the file's; tests put something in their way.
	writeAt func(p []byte, offset int64) (int, error)
	sync    func() error
}

// createWAL makes a write-ahead log in the place of one that may be there, with a head on disk that says its id.
func createWAL(path string, openFile openFileFunc) (w *wal, err error) {
	file, err := openFile(path+newSuffix, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	w = &wal{path: path, file: file, id: make([]byte, walIDSize), at: walPage, size: walSize, writeAt: file.WriteAt,
		sync: func() error { return os.NewSyscallError("fdatasync", syscall.Fdatasync(int(file.Fd()))) }}
	_, _ = rand.Read(w.id) // never fails
	head := make([]byte, recordHead)
	w.seal(head, 0)
	err = w.write(head, 0)
	if err == nil {
		err = os.Rename(path+newSuffix, path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return w, nil
}

// record returns a batch as the next record, or nil if it is too large for one.
func (w *wal) record(batch *Batch) ([]byte, error) {
	logged := &storev1.LoggedBatch{Meta: batch.Meta, AuditHead: batch.Head, Rows: make([]*storev1.LoggedRow, len(batch.Ops))}
	rows := make([]storev1.LoggedRow, len(batch.Ops))
	for i, op := range batch.Ops {
		rows[i].Table, rows[i].Key, rows[i].Value = op.Table, []byte(op.Key), op.Value
		logged.Rows[i] = &rows[i]
	}
	size := proto.Size(logged)
	if size > maxRecord-recordHead {
		return nil, nil
	}
	record, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(make([]byte, recordHead, recordHead+size), logged)
	if err != nil {
		return nil, err
	}
	w.seal(record, w.sequence+1)
	return record, nil
}

// seal fills in a record's head.
func (w *wal) seal(record []byte, sequence uint64) {
	binary.BigEndian.PutUint32(record[4:], uint32(len(record)-recordHead))
	binary.BigEndian.PutUint64(record[8:], sequence)
	copy(record[16:], w.id)
	binary.BigEndian.PutUint32(record, crc32.Checksum(record[4:], castagnoli))
}

// place returns where a record of a length goes: behind the newest one, or to the start where there is no room left.
func (w *wal) place(length int) (begin, end int64) {
	begin = w.at
	if begin+pagesOf(length) > w.size {
		begin = walPage
	}
	return begin, begin + pagesOf(length)
}

// append has a record on disk when it returns, at its place. After an error of writing, nothing has changed; after one of syncing, nobody knows.
func (w *wal) append(record []byte) error {
	begin, end := w.place(len(record))
	if err := w.write(record, begin); err != nil {
		return err
	}
	w.sequence, w.at = w.sequence+1, end
	return nil
}

func (w *wal) write(record []byte, begin int64) error {
	if end := begin + pagesOf(len(record)); end > w.reserved {
		reserved := min((end+walReserve-1)/walReserve*walReserve, w.size)
		if _, err := w.writeAt(make([]byte, reserved-w.reserved), w.reserved); err != nil {
			return err
		}
		w.reserved = reserved
	}
	if _, err := w.writeAt(record, begin); err != nil {
		return err
	}
	return w.sync()
}

// pagesOf is how many bytes the pages of a record take.
func pagesOf(length int) int64 { return (int64(length) + walPage - 1) / walPage * walPage }

// logged is a batch that the write-ahead log has, and where.
type logged struct {
	*Batch
	sequence   uint64
	begin, end int64 // of its pages
}

// readWAL returns the batches that a write-ahead log has and a database has not, the oldest first. Records are looked for on every page, so that one that is damaged does not
// hide those after it. The newest may have been cut short by a crash: then it was not acknowledged, and does not count. The errors are [*CorruptError], and those of the file system.
func readWAL(path string, from *storev1.WriteAhead) ([]logged, error) {
	corrupt := func(format string, args ...any) error {
		return &CorruptError{File: path, Detail: fmt.Sprintf(format, args...)}
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, corrupt("it is missing, and has changes that the database has not")
	case err != nil:
		return nil, err
	case info.Size() > walSize:
		return nil, corrupt("it is larger than any that a hub writes")
	}
	file, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if sequence, _, ok := parseRecord(file, from.Log); !ok || sequence != 0 {
		return nil, corrupt("it is not the one that the database was written with")
	}
	var found []logged
	for at := int64(walPage); at < int64(len(file)); {
		sequence, body, ok := parseRecord(file[at:], from.Log)
		if !ok {
			at += walPage
			continue
		}
		end := at + pagesOf(recordHead+len(body))
		if sequence > from.Sequence {
			batch, err := parseBatch(body)
			if err != nil {
				return nil, corrupt("record %d cannot be read: %v", sequence, err)
			}
			found = append(found, logged{batch, sequence, at, end})
		}
		at = end
	}
	slices.SortFunc(found, func(a, b logged) int { return cmp.Compare(a.sequence, b.sequence) })
	for i, r := range found {
		if want := from.Sequence + 1 + uint64(i); r.sequence != want {
			return nil, corrupt("record %d is missing or damaged, and there are later ones", want)
		}
	}
	return found, nil
}

// parseRecord returns the sequence and the body of the record at the start of data, if there is a whole one of the log.
func parseRecord(data, id []byte) (sequence uint64, body []byte, ok bool) {
	if len(data) < recordHead || !bytes.Equal(data[16:recordHead], id) {
		return 0, nil, false
	}
	length := int64(binary.BigEndian.Uint32(data[4:]))
	if length > int64(len(data)-recordHead) {
		return 0, nil, false
	}
	record := data[:recordHead+length]
	if crc32.Checksum(record[4:], castagnoli) != binary.BigEndian.Uint32(record) {
		return 0, nil, false
	}
	return binary.BigEndian.Uint64(record[8:]), record[recordHead:], true
}

func parseBatch(body []byte) (*Batch, error) {
	b := &storev1.LoggedBatch{}
	if err := proto.Unmarshal(body, b); err != nil {
		return nil, err
	}
	batch := &Batch{Meta: b.Meta, Head: b.AuditHead, Ops: make([]Op, len(b.Rows))}
	for i, row := range b.Rows {
		batch.Ops[i] = Op{Table: row.Table, Key: string(row.Key), Value: row.Value}
	}
	return batch, nil
}
