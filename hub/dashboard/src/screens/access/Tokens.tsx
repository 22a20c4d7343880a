import { useState } from "preact/hooks";
import { call, Failure, query } from "../../api/client";
import { useQuery } from "../../api/query";
import type { Token } from "../../api/answers";
import { useMay } from "../../frame/useMay";
import { Ask } from "../../parts/Ask";
import { Block } from "../../parts/Block";
import { Copy } from "../../parts/Copy";
import { Problem } from "../../parts/Note";
import { Ago, At } from "../../parts/Time";
import { count } from "../../words";

/** Tokens are the credentials that the hub has given out. */
export function Tokens({ roles }: { roles: string[] }) {
  const { data, error, again } = useQuery<{ tokens?: Token[] }>(query("/v1/tokens", { pageSize: 500 }));
  const mayMake = useMay("create", "tokens");
  const mayRevoke = useMay("delete", "tokens");
  return (
    <Block title="Tokens" n={data && count(data.tokens?.length)}>
      {error && <Problem failure={error} />}
      {mayMake && <Make roles={roles} made={again} />}
      <ul class="rows tokens">
        {data?.tokens?.map((t) => (
          <li key={t.metadata.name}>
            <span class="m ink cut" title={t.metadata.name}>
              {t.metadata.name}
            </span>
            <span>{t.status.roles?.join(", ") || "no role"}</span>
            <span class="dim">by {t.status.actor}</span>
            <span class="dim">
              until <At time={t.status.expires} />
            </span>
            <span class="dim">
              {t.status.lastUsed ? (
                <>
                  used <Ago time={t.status.lastUsed} /> ago
                </>
              ) : (
                "never used"
              )}
            </span>
            {mayRevoke && (
              <Ask label="Revoke…" confirm={`Revoke ${t.metadata.name}`} danger method="DELETE" path={`/v1/tokens/${t.metadata.name}`} body={{}} command={`yardarm token revoke ${t.metadata.name}`} done={again}>
                <p>Whoever has it is let in no more, at once; what is open with it ends, and it leaves all bindings.</p>
              </Ask>
            )}
          </li>
        ))}
      </ul>
    </Block>
  );
}

/** Make makes a token, and shows its secret once. */
function Make({ roles, made }: { roles: string[]; made: () => void }) {
  const [name, setName] = useState("");
  const [role, setRole] = useState("viewer");
  const [secret, setSecret] = useState("");
  const [failure, setFailure] = useState("");
  const submit = async (e: SubmitEvent) => {
    e.preventDefault();
    setFailure("");
    try {
      setSecret((await call<{ secret: string }>("POST", "/v1/tokens", { name, role })).secret);
      setName("");
      made();
    } catch (e) {
      setFailure(e instanceof Failure ? e.message : String(e));
    }
  };
  return (
    <>
      <form class="inline" onSubmit={(e) => void submit(e)}>
        <label class="sr" for="token-name">
          Name of a new token
        </label>
        <input id="token-name" class="field-in m" required placeholder="web-ci" value={name} onInput={(e) => setName(e.currentTarget.value)} />
        <label class="sr" for="token-role">
          Its role
        </label>
        <select id="token-role" class="field-in" value={role} onChange={(e) => setRole(e.currentTarget.value)}>
          {roles.map((r) => (
            <option key={r}>{r}</option>
          ))}
        </select>
        <button class="btn">Make a token</button>
      </form>
      {failure && (
        <p class="msg" role="alert">
          {failure}
        </p>
      )}
      <div role="status">
        {secret && (
          <p class="shell">
            <span class="m">{secret}</span>
            <Copy text={secret} />
            <span class="dim">shown this once</span>
          </p>
        )}
      </div>
    </>
  );
}
