//go:build !unix

package enroll

import (
	"errors"
	"os"
)

// lock fails: spokes run where files can be locked.
func lock(*os.File) error {
	return errors.ErrUnsupported
}
