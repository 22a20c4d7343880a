package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"os"
	"syscall"
)

// bbolt's pages, as far as they matter here. All integers are in the byte order of the machine.
//
//	page    id 8 | flags 2 | count 2 | overflow 4 | elements | keys and values     overflow: further pages that belong to it
//	branch  elements: offset of the key from the element 4 | its size 4 | child page 8
//	leaf    elements: flags 4 | offset of the key from the element 4 | its size 4 | size of the value, which follows it, 4
//	bucket  value of a leaf element with the flag 1: root page 8 | sequence 8, and if the root is 0, the only page itself
//	meta    pages 0 and 1: magic 4 | version 4 | page size 4 | flags 4 | root bucket 16 | free list 8 | end of pages 8 | transaction 8 | FNV-1a of all that 8
const (
	pageHeaderSize  = 16
	pageElementSize = 16
	bucketSize      = 16
	metaSize        = 64

	branchFlag = 1
	leafFlag   = 2
	bucketFlag = 1 // of a leaf's element

	boltMagic   = 0xED0CDAED
	boltVersion = 2
	// noFreeList says that the list of free pages is not on disk.
	noFreeList = math.MaxUint64
	// minPageSize and maxPageSize bound what is tried where the first meta page does not tell, in bytes: the page sizes of the machines that hubs run on.
	minPageSize, maxPageSize = 1 << 10, 1 << 16
)

// pageFile is a bbolt file that is looked at page by page, trusting nothing.
//
// bbolt has a check of its own. But it trusts what it counts with, so that a damaged page makes it run for minutes or die in a goroutine where nobody can
// help it; and it makes that check, of which it cannot be kept, whenever it opens a file without a list of free pages.
type pageFile struct {
	data     []byte
	pageSize uint64
	root     uint64
	end      uint64 // of pages
	seen     []bool // by page
	// halved: one of the two meta pages is damaged. If it is the newer one, the last commit is lost.
	halved bool
}

// pageError says what is wrong with a page.
func pageError(id uint64, format string, args ...any) error {
	return fmt.Errorf("page %d: %s", id, fmt.Sprintf(format, args...))
}

// openPages maps a file and reads its meta pages. Close unmaps it. Whoever uses it guards against memory faults, which are errors of the disk.
func openPages(path string) (*pageFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() < 2*minPageSize {
		return nil, &CorruptError{File: path, Detail: fmt.Sprintf("the file has %d bytes, which is too little for a database", info.Size())}
	}
	data, err := syscall.Mmap(int(f.Fd()), 0, int(info.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	p := &pageFile{data: data}
	if err := guard(path, p.readMetas); err != nil {
		return nil, joinClose(asCorrupt(path, err), p)
	}
	return p, nil
}

// Close unmaps the file.
func (p *pageFile) Close() error { return syscall.Munmap(p.data) }

// readMetas takes the newer one of the meta pages that are whole.
func (p *pageFile) readMetas() error {
	newest := int64(-1)
	whole := 0
	take := func(meta []byte) bool {
		u64 := binary.NativeEndian.Uint64
		sum := fnv.New64a()
		sum.Write(meta[:metaSize-8])
		if u32(meta) != boltMagic || u32(meta[4:]) != boltVersion || u64(meta[56:]) != sum.Sum64() {
			return false
		}
		whole++
		if txid := int64(u64(meta[48:])); txid > newest {
			newest = txid
			p.pageSize, p.root, p.end = u32(meta[8:]), u64(meta[16:]), u64(meta[40:])
			if u64(meta[32:]) != noFreeList {
				p.end = 0 // not written by a hub
			}
		}
		return true
	}
	at := func(offset int) []byte { return p.data[offset+pageHeaderSize:][:metaSize] }
	first := take(at(0))
	for size := minPageSize; size <= maxPageSize && size+pageHeaderSize+metaSize <= len(p.data); size *= 2 {
		if first && uint64(size) != p.pageSize {
			continue
		}
		if take(at(size)) {
			break
		}
	}
	p.halved = whole == 1
	switch {
	case whole == 0:
		return errors.New("neither of its two meta pages is whole: this is no database, or its beginning is lost")
	case p.end == 0:
		return errors.New("it has a list of free pages, which a hub does not write: it comes from another program")
	case p.pageSize < minPageSize || p.pageSize > maxPageSize || p.end > uint64(len(p.data)) || p.end*p.pageSize > uint64(len(p.data)):
		return fmt.Errorf("the file has %d bytes, and %d pages of %d bytes should be in it: it has been cut off", len(p.data), p.end, p.pageSize)
	}
	p.seen = make([]bool, p.end)
	return nil
}

// buckets returns the buckets of the root bucket, in order: what bucket takes.
func (p *pageFile) buckets() (names []string, roots map[string][]byte, err error) {
	roots = map[string][]byte{}
	err = p.walk(p.root, nil, nil, func(key, value []byte, isBucket bool) error {
		if !isBucket {
			return fmt.Errorf("row %q is outside of any table", key)
		}
		names = append(names, string(key))
		roots[string(key)] = value
		return nil
	})
	return names, roots, err
}

// bucket calls row for every row of a bucket, in order. What it gets is part of the mapped file.
func (p *pageFile) bucket(root []byte, row func(key, value []byte) error) error {
	if len(root) < bucketSize {
		return fmt.Errorf("a bucket of %d bytes", len(root))
	}
	leaf := func(key, value []byte, isBucket bool) error {
		if isBucket {
			return fmt.Errorf("a bucket %q within a bucket", key)
		}
		return row(key, value)
	}
	if id := binary.NativeEndian.Uint64(root); id != 0 {
		return p.walk(id, nil, nil, leaf)
	}
	page := root[bucketSize:]
	if len(page) < pageHeaderSize || binary.NativeEndian.Uint16(page[8:]) != leafFlag {
		return errors.New("a small bucket without its page")
	}
	return walkLeaf(0, page, nil, nil, leaf)
}

// walk visits a page and all below it. Its keys are at least low and below high, where those are given.
func (p *pageFile) walk(id uint64, low, high []byte, leaf func(key, value []byte, isBucket bool) error) error {
	if id < 2 || id >= p.end {
		return pageError(id, "there is no such page")
	}
	page := p.data[id*p.pageSize:]
	overflow := u32(page[12:])
	if stated := binary.NativeEndian.Uint64(page); stated != id {
		return pageError(id, "it says that it is page %d", stated)
	}
	if overflow >= p.end-id {
		return pageError(id, "it ends after the end of the file")
	}
	for i := id; i <= id+overflow; i++ {
		if p.seen[i] {
			return pageError(i, "it is in use twice")
		}
		p.seen[i] = true
	}
	page = page[:(overflow+1)*p.pageSize]
	switch flags := binary.NativeEndian.Uint16(page[8:]); flags {
	case leafFlag:
		return walkLeaf(id, page, low, high, leaf)
	case branchFlag:
		return p.walkBranch(id, page, low, high, leaf)
	default:
		return pageError(id, "it is of no kind: %#x", flags)
	}
}

func (p *pageFile) walkBranch(id uint64, page, low, high []byte, leaf func(key, value []byte, isBucket bool) error) error {
	elements, err := elementsOf(id, page)
	if err != nil {
		return err
	}
	if elements == 0 {
		return pageError(id, "a branch without children")
	}
	key := func(i int) ([]byte, error) {
		at := pageHeaderSize + i*pageElementSize
		e := page[at:]
		return part(id, page, uint64(at)+u32(e), u32(e[4:]))
	}
	this, err := key(0)
	if err != nil {
		return err
	}
	for i := range elements {
		if err := inOrder(id, this, low, high); err != nil {
			return err
		}
		next := high
		if i+1 < elements {
			if next, err = key(i + 1); err != nil {
				return err
			}
			if bytes.Compare(this, next) >= 0 {
				return pageError(id, "its keys are not in order")
			}
		}
		child := binary.NativeEndian.Uint64(page[pageHeaderSize+i*pageElementSize+8:])
		if err := p.walk(child, this, next, leaf); err != nil {
			return err
		}
		this = next
	}
	return nil
}

func walkLeaf(id uint64, page, low, high []byte, leaf func(key, value []byte, isBucket bool) error) error {
	elements, err := elementsOf(id, page)
	if err != nil {
		return err
	}
	var last []byte
	for i := range elements {
		at := pageHeaderSize + i*pageElementSize
		e := page[at:]
		from, keySize, valueSize := uint64(at)+u32(e[4:]), u32(e[8:]), u32(e[12:])
		key, err := part(id, page, from, keySize)
		if err != nil {
			return err
		}
		value, err := part(id, page, from+keySize, valueSize)
		if err != nil {
			return err
		}
		if err := inOrder(id, key, low, high); err != nil {
			return err
		}
		if i > 0 && bytes.Compare(last, key) >= 0 {
			return pageError(id, "its keys are not in order")
		}
		flags := binary.NativeEndian.Uint32(e)
		if flags > bucketFlag {
			return pageError(id, "an element of no kind: %#x", flags)
		}
		if err := leaf(key, value, flags == bucketFlag); err != nil {
			return err
		}
		last = key
	}
	return nil
}

// elementsOf returns the number of a page's elements.
func elementsOf(id uint64, page []byte) (int, error) {
	n := int(binary.NativeEndian.Uint16(page[10:]))
	if pageHeaderSize+n*pageElementSize > len(page) {
		return 0, pageError(id, "%d elements are more than fit", n)
	}
	return n, nil
}

// part returns what an element refers to. from and size are sums of a few 32-bit numbers, so that nothing overflows.
func part(id uint64, page []byte, from, size uint64) ([]byte, error) {
	if from < pageHeaderSize || from+size > uint64(len(page)) {
		return nil, pageError(id, "an element refers to what is beyond it")
	}
	return page[from : from+size : from+size], nil
}

func u32(b []byte) uint64 { return uint64(binary.NativeEndian.Uint32(b)) }

func inOrder(id uint64, key, low, high []byte) error {
	if low != nil && bytes.Compare(key, low) < 0 || high != nil && bytes.Compare(key, high) >= 0 {
		return pageError(id, "a key is not where a search for it ends")
	}
	return nil
}
