// Package drift compares live objects with what was applied, field by field, and leaves alone what is to be left alone. It asks
// nothing and writes nothing: reconcile reads the objects, has them applied (or tried), and hands both here.
//
// Which fields were lost is no guess from values. Every field that we apply is in our entry of the object's managedFields, and
// whoever changes one takes it out; so what an apply adds to that entry is what somebody had changed. The desired value is that of
// the API server's answer, as defaulted and normalized as the live one, so that "1000m" is no drift from "1".
package drift
