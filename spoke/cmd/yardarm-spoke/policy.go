package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/spoke/kube"
	"github.com/yardarm-dev/yardarm/spoke/policy"
)

// policyEnv names the policy file, for a pod whose command line is not to be changed.
const policyEnv = "YARDARM_POLICY"

// Exit statuses of the policy commands, besides 0.
const (
	statusDenied = 1
	statusBroken = 2
)

// status is an error with an exit status of its own. Without a text it is said already.
type status struct {
	error
	code int
}

func policyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "policy",
		Short: "Look at what a policy lets a hub do to this cluster",
		Long: `A policy says what bundles may do in this cluster, whatever the hub says: which namespaces and kinds they may write, whether
anything may be written now, and as which service accounts. It is a YAML file beside the spoke, named by run --policy or
` + policyEnv + `, and read again when it changes. The hub cannot see or change it.

  yardarm-spoke policy example > policy.yaml     start here: every field, and what it means
  yardarm-spoke policy check policy.yaml         what does it mean? is it right?
  yardarm-spoke policy test policy.yaml --kind apps/Deployment --namespace prod`,
	}
	c.AddCommand(policyExampleCommand(), policyCheckCommand(), policyTestCommand())
	return c
}

func policyExampleCommand() *cobra.Command {
	return &cobra.Command{
		Use: "example", Short: "Print a policy with every field, and what each means", Args: cobra.NoArgs,
		Run: func(c *cobra.Command, _ []string) { fmt.Fprint(c.OutOrStdout(), policy.Example) },
	}
}

func policyCheckCommand() *cobra.Command {
	var namespace string
	c := &cobra.Command{
		Use:   "check FILE",
		Short: "Say what a policy means",
		Long: `Reads a policy as the spoke does, strictly, and says what it means. Every mistake is told with its line.

Exit status: 0 it is right, 2 it is broken or cannot be read.`,
		Args: oneFile,
		RunE: func(c *cobra.Command, args []string) error {
			p, err := readPolicy(args[0], namespace)
			if err != nil {
				return err
			}
			fmt.Fprint(c.OutOrStdout(), p.Describe())
			return nil
		},
	}
	spokeNamespace(c, &namespace)
	return c
}

func policyTestCommand() *cobra.Command {
	var namespace, kind, bundle, account string
	var ref manifest.Ref
	c := &cobra.Command{
		Use:   "test FILE --kind GROUP/KIND [--namespace NAMESPACE]",
		Short: "Say whether bundles may write an object, and by which rule",
		Long: `Says whether a policy lets bundles write an object: create, change, take over, release or delete it, which are all the same to it.
An object without --namespace is one that belongs to the whole cluster.

With --bundle it also says as which service account that bundle is written.

Exit status: 0 allowed, 1 denied, 2 the policy is broken, or the question.`,
		Example: `  yardarm-spoke policy test policy.yaml --kind apps/Deployment --namespace prod
  yardarm-spoke policy test policy.yaml --kind core/Secret --namespace prod
  yardarm-spoke policy test policy.yaml --kind core/Namespace --name prod
  yardarm-spoke policy test policy.yaml --bundle web --service-account prod/deployer`,
		Args: oneFile,
		RunE: func(c *cobra.Command, args []string) error {
			if kind == "" && bundle == "" {
				return status{errors.New("ask about an object with --kind, or about a bundle with --bundle"), statusBroken}
			}
			p, err := readPolicy(args[0], namespace)
			if err != nil {
				return err
			}
			out := c.OutOrStdout()
			if kind != "" {
				var ok bool
				if ref.Group, ref.Kind, ok = strings.Cut(kind, "/"); !ok {
					return status{fmt.Errorf("--kind %s: an object's kind has its group before it, as in core/Secret or apps/Deployment", kind), statusBroken}
				}
				if ref.Group == policy.CoreGroup {
					ref.Group = ""
				}
				v := p.Evaluate(ref)
				if v.Denied {
					fmt.Fprintf(out, "denied: %s\n", v.Rule())
					return status{code: statusDenied}
				}
				rule := v.Rule()
				if rule == "" {
					rule = "no rule is about it"
				}
				fmt.Fprintf(out, "allowed: %s\n", rule)
			}
			if bundle == "" {
				return nil
			}
			as, err := p.Account(bundle, account)
			switch {
			case err != nil:
				fmt.Fprintf(out, "denied: %v\n", err)
				return status{code: statusDenied}
			case as == policy.Account{}:
				fmt.Fprintf(out, "bundle %s is written as the spoke itself\n", bundle)
			default:
				fmt.Fprintf(out, "bundle %s is written as service account %s\n", bundle, as)
			}
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&kind, "kind", "", "the object's kind, `GROUP/KIND`, as apps/Deployment or core/Secret")
	f.StringVar(&ref.Namespace, "namespace", "", "the object's namespace; empty for one that belongs to the whole cluster")
	f.StringVar(&ref.Name, "name", "", "the object's name; only that of a Namespace, or of what is in the spoke's own, matters")
	f.StringVar(&bundle, "bundle", "", "a bundle's name")
	f.StringVar(&account, "service-account", "", "the service account that the bundle asks for, `NAMESPACE/NAME`")
	spokeNamespace(c, &namespace)
	return c
}

// spokeNamespace is a flag of commands in which --namespace is that of an object.
func spokeNamespace(c *cobra.Command, namespace *string) {
	c.Flags().StringVar(namespace, "spoke-namespace", kube.DefaultNamespace, "the spoke's own namespace, run's --namespace")
}

func oneFile(c *cobra.Command, args []string) error {
	if err := cobra.ExactArgs(1)(c, args); err != nil {
		return status{err, statusBroken}
	}
	return nil
}

func readPolicy(file, namespace string) (*policy.Policy, error) {
	s, err := policy.Open(policy.Config{File: file, Namespace: namespace})
	if err != nil {
		return nil, status{err, statusBroken}
	}
	return s.Current(), nil
}

// policyFlags are those of run that bound what bundles may do.
func policyFlags(c *cobra.Command, file *string, flags *policy.Flags) {
	f := c.Flags()
	f.StringVar(file, "policy", os.Getenv(policyEnv), "a `file` that says what bundles may do in this cluster ("+policyEnv+"); see: yardarm-spoke policy")
	simple := []string{"read-only", "freeze", "allow-namespaces", "deny-namespaces", "deny-kinds", "service-account"}
	f.BoolVar(&flags.ReadOnly, "read-only", false, "write nothing, and report what differs; instead of a policy file, as the next five")
	f.StringVar(&flags.Freeze, "freeze", "", "write nothing, for this `reason`, which the hub is told")
	f.StringSliceVar(&flags.AllowNamespaces, "allow-namespaces", nil, "`patterns` of the namespaces that bundles may write in, as prod-*; then they write nothing cluster-scoped either")
	f.StringSliceVar(&flags.DenyNamespaces, "deny-namespaces", nil, "`patterns` of namespaces that bundles never write in")
	f.StringSliceVar(&flags.DenyKinds, "deny-kinds", nil, "`patterns` of kinds that bundles never write, as rbac.authorization.k8s.io/*")
	f.StringVar(&flags.ServiceAccount, "service-account", "", "the service account, `NAMESPACE/NAME`, that all bundles are written as")
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		for _, name := range simple {
			if *file != "" && c.Flags().Changed(name) {
				return fmt.Errorf("--%s and a policy file (%s): give either; say in the file what the flag says", name, *file)
			}
		}
		return nil
	}
}
