package reconcile

import (
	"sync"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// claims says which bundle has which object: the union of all inventories. A bundle takes an object before its inventory is
// written with it, and gives it back after its inventory was written without it, so that no two inventories ever name one object.
type claims struct {
	mu      sync.Mutex
	holders map[manifest.Ref]string // bundle uids
	// names are those of the bundles that are assigned. What an inventory claims whose bundle is not is free to be taken.
	names map[string]string
}

func newClaims() *claims {
	return &claims{holders: map[manifest.Ref]string{}, names: map[string]string{}}
}

// take claims an object for a bundle. It answers the name of the bundle that has it, empty if the claim was granted.
func (c *claims) take(ref manifest.Ref, uid string) (other string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if other = c.other(ref, uid); other == "" {
		c.holders[ref] = uid
	}
	return other
}

// look answers what take would, and claims nothing.
func (c *claims) look(ref manifest.Ref, uid string) (other string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.other(ref, uid)
}

// other is called with mu held.
func (c *claims) other(ref manifest.Ref, uid string) string {
	if holder, ok := c.holders[ref]; ok && holder != uid {
		return c.names[holder]
	}
	return ""
}

// give returns objects that are the bundle's.
func (c *claims) give(uid string, refs ...manifest.Ref) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ref := range refs {
		if c.holders[ref] == uid {
			delete(c.holders, ref)
		}
	}
}

// holder answers the uid of the bundle that has an object.
func (c *claims) holder(ref manifest.Ref) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.holders[ref]
}

// current notes that a bundle is assigned.
func (c *claims) current(uid, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.names[uid] = name
}

// end forgets a bundle and all that it has.
func (c *claims) end(uid string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.names, uid)
	for ref, holder := range c.holders {
		if holder == uid {
			delete(c.holders, ref)
		}
	}
}
