// Package healthrule judges objects by the health rules of a delivery policy: CEL expressions over `object`, for kinds that do not follow
// the usual rules.
//
//	rules, violations := healthrule.Compile(policy.Health)
//	rules.Judge("example.com", "Widget", object)
//
// The hub's API compiles rules to refuse what is wrong with them; a spoke compiles them once for an assignment, and judges. Rules keep no
// state, read no clock and nothing but the object, and cost a bounded amount of work.
package healthrule
