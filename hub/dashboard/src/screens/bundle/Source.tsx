import type { Bundle, Ref, Source as Spec, SourceStatus } from "../../api/answers";
import { Block } from "../../parts/Block";
import { Ago } from "../../parts/Time";
import { seconds, span } from "../../time";
import { brief, signerOf } from "./provenance";

/** How often the hub asks where nothing is said. */
const interval = "60s";

/** Source is where the bundle comes from, what the hub has found there, as of when, and what is wrong with it. */
export function Source({ bundle: { spec, status } }: { bundle: Bundle }) {
  const source = spec?.source;
  if (!source) return null;
  return (
    <Block title="Source" n={source.git ? "Git" : source.helm ? "Helm" : "OCI"} act={<code class="dim">spec.source</code>}>
      <dl class="facts">
        {said(source).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd class="m cut" title={value}>
              {value}
            </dd>
          </div>
        ))}
      </dl>
      <Found status={status.source ?? {}} />
    </Block>
  );
}

/** said is what the bundle says of its source. */
function said({ git, helm, oci, variants }: Spec): [string, string][] {
  const from = git ?? helm ?? oci;
  const all: [string, string | undefined][] = [
    ["URL", from?.url],
    ["Chart", helm?.chart],
    ["Version", helm && (helm.version || "the highest")],
    ["Ref", helm ? undefined : refOf(git?.ref ?? oci?.ref) || (git ? "the repository's own branch" : "tag latest")],
    ["Path", git?.path ?? oci?.path],
    ["Asked every", span(seconds(from?.interval ?? interval))],
    ["Credentials", from?.credentials],
    ["Signatures", git?.verify && `of ${git.verify.mode || "commit"}s, by ${git.verify.signers?.map((s) => s.name).join(", ")}`],
    ["Variants", variants?.map((v) => v.name).join(", ")],
  ];
  return all.filter((row): row is [string, string] => Boolean(row[1]));
}

/** refOf is as in "branch main". */
const refOf = (ref: Ref | undefined): string =>
  Object.entries(ref ?? {})
    .map(([kind, value]) => `${kind} ${value}`)
    .join("");

function Found({ status: { commit = "", digest = "", author, subject, ref, signer, asOf, problem, held } }: { status: SourceStatus }) {
  const at = commit || digest;
  return (
    <ul class="rows ahead">
      <li>
        <span>
          <i class={`fl ${problem ? "degraded" : held ? "paused" : at ? "ready" : "waiting"}`} />
        </span>
        <div>
          <p class="ink">
            <span class="m" title={at}>
              {brief(at) || "nothing found yet"}
            </span>{" "}
            {ref} {subject} <span class="dim">{author && `by ${author}`}</span>
          </p>
          {signer && (
            <p class="wrap" title={signer}>
              signed by <span class="ink">{signerOf(signer).name}</span> <span class="m dim">{signerOf(signer).fingerprint}</span>
            </p>
          )}
          {problem && (
            <p class="t-degraded">
              {problem.reason}: {problem.message} {problem.file && <span class="m">{`${problem.file}${problem.line ? `:${problem.line}` : ""}`}</span>}{" "}
              {where(problem) && where(problem) !== at && <>in {brief(where(problem))} </>}
              for <Ago time={problem.since} />
            </p>
          )}
          {held && <p>{held}</p>}
        </div>
        <div class="dim">{asOf ? <>looked <Ago time={asOf} /> ago</> : "not looked yet"}</div>
      </li>
    </ul>
  );
}

const where = (problem: NonNullable<SourceStatus["problem"]>): string => problem.commit || problem.digest || "";
