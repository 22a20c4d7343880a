package customize

import (
	"errors"
	"fmt"

	jsonpatch "github.com/evanphx/json-patch/v5"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// operate applies a JSON patch.
func (p *patch) operate(object manifest.Object, limits manifest.Limits, work *budget) (out manifest.Object, err error) {
	data := object.JSON()
	// Operations that are made to hurt copy a long list each.
	if err := work.spend(p.size + len(data)*(1+len(p.operations)/4)); err != nil {
		return nil, err
	}
	// The library has panicked on patches that nobody would write.
	defer func() {
		if r := recover(); r != nil {
			out, err = nil, errors.New("does not fit the object")
		}
	}()
	options := jsonpatch.NewApplyOptions()
	options.AccumulatedCopySizeLimit = int64(limits.ObjectBytes)
	options.EscapeHTML = false
	data, err = p.operations.ApplyWithOptions(data, options)
	if err != nil {
		return nil, p.failed(err)
	}
	if len(data) > 2*limits.ObjectBytes {
		return nil, manifest.ErrObjectTooLarge
	}
	return manifest.ObjectFromJSON(data)
}

// failed words an error of the library, which quotes paths and no values.
func (p *patch) failed(err error) error {
	copied := &jsonpatch.AccumulatedCopySizeError{}
	switch {
	case errors.As(err, &copied):
		return errors.New("copies more than an object may hold")
	case errors.Is(err, jsonpatch.ErrTestFailed):
		return fmt.Errorf("a test is not met, so nothing of the patch holds: %s", clip(err.Error()))
	case errors.Is(err, jsonpatch.ErrMissing), errors.Is(err, jsonpatch.ErrInvalidIndex):
		return fmt.Errorf("does not fit the object: %s", clip(err.Error()))
	}
	return errors.New("does not fit the object")
}
