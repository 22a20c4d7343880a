// Package event writes Kubernetes Events, so that whoever looks at an object with kubectl, or at its namespace, sees what the spoke has to
// say of it. Everything that an event says is in the spoke's reports too; nothing depends on events.
//
// Recording never blocks and never fails: events wait in a bounded queue, of which the oldest go when it is full. What is said
// again is counted in the event that said it first, at most once a minute. Each bundle has a rate of its own, so that one with
// hundreds of failing objects neither floods the API server nor silences the others. A spoke with nothing to say writes nothing.
package event
