package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/yardarm-dev/yardarm/pkg/atomicfile"
)

// EnvKey names the environment variable that holds the hub key, in base64. It wins over the file.
const EnvKey = "YARDARM_HUB_KEY"

// KeySize is the hub key's size, in bytes: AES-256.
const KeySize = 32

// maxKeyFile bounds what is read of the file, in bytes: the text of a key is 45 bytes long.
const maxKeyFile = 1024

// ErrNoKey means that there is no hub key, and that this was no first start.
var ErrNoKey = errors.New("there is no hub key")

// Config says where the hub key is.
type Config struct {
	// File is the key file. The hub makes it, and its folder, if Create allows it.
	File string
	// Key is the value of the environment variable [EnvKey]; empty when that is not set.
	Key string
	// Create lets a missing file be made. Set it only if no database exists: a new key opens nothing that is there.
	Create bool
	// Rand is the source of the key and of nonces. Default: crypto/rand.
	Rand io.Reader
}

// Sealer seals and opens secrets under one hub key. Safe for concurrent use if Rand is.
type Sealer struct {
	aead   cipher.AEAD
	key    []byte
	random io.Reader
	// source says where the key is from, for errors.
	source string
}

// New reads the hub key, or makes it. The error says what to do; it is [ErrNoKey] if there is none and none may be made.
func New(config Config) (*Sealer, error) {
	if config.Rand == nil {
		config.Rand = rand.Reader
	}
	key, source, err := load(config)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("use the hub key of %s: %w", source, err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("use the hub key of %s: %w", source, err)
	}
	return &Sealer{aead: aead, key: key, random: config.Rand, source: source}, nil
}

// Source says where the key is from: the file's path, or the environment variable.
func (s *Sealer) Source() string {
	return s.source
}

func load(config Config) (key []byte, source string, err error) {
	if config.Key != "" {
		source = "the environment variable " + EnvKey
		key, err := decode([]byte(config.Key))
		if err != nil {
			return nil, "", fmt.Errorf("read the hub key from %s: %w", source, err)
		}
		return key, source, nil
	}
	source = "the file " + config.File
	key, err = read(config.File)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, source, err
	}
	if !config.Create {
		return nil, "", fmt.Errorf("%w: %s does not exist, and the database there is sealed with one: "+
			"put your copy of the key back (mode 0600), or set %s", ErrNoKey, config.File, EnvKey)
	}
	key, err = create(config.File, config.Rand)
	return key, source, err
}

// create makes the key file. If another hub has made it in the meantime, that key is taken.
func create(path string, random io.Reader) ([]byte, error) {
	key := make([]byte, KeySize)
	if _, err := io.ReadFull(random, key); err != nil {
		return nil, fmt.Errorf("make the hub key: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the hub key: %w", err)
	}
	err := atomicfile.Create(path, []byte(base64.StdEncoding.EncodeToString(key)+"\n"), 0o600)
	if errors.Is(err, fs.ErrExist) {
		return read(path)
	}
	if err != nil {
		return nil, fmt.Errorf("make the hub key: %w", err)
	}
	return key, nil
}

func read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the hub key: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("read the hub key: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read the hub key: %s is no file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("read the hub key: others than its owner may read %s (mode %04o): "+
			"chmod 600 %s, and consider whether the key is still a secret", path, mode, path)
	}
	data, err := io.ReadAll(io.LimitReader(file, maxKeyFile))
	if err != nil {
		return nil, fmt.Errorf("read the hub key: %w", err)
	}
	key, err := decode(data)
	if err != nil {
		return nil, fmt.Errorf("read the hub key from %s: %w", path, err)
	}
	return key, nil
}

// decode takes base64, as the hub writes it, or the bare bytes, as other tools make them. Nothing of the data is in its errors.
func decode(data []byte) ([]byte, error) {
	if len(data) == KeySize {
		return data, nil
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(data)))
	if err != nil || len(key) != KeySize {
		return nil, fmt.Errorf("it is to be %d random bytes in base64: put your copy of the key back "+
			"(where there is no database yet, remove it and start again)", KeySize)
	}
	return key, nil
}
