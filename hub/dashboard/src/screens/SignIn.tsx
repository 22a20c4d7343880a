import { useEffect, useState } from "preact/hooks";
import { Failure } from "../api/client";
import { goToProvider, providers, signIn, whoAmI } from "../api/session";
import { Shell } from "../parts/Note";

/** SignIn leads to an identity provider, or takes a token. The page that was asked for stays in the URL, and is shown after it. */
export function SignIn({ why }: { why: string }) {
  const [known, setKnown] = useState<string[]>([]);
  const [token, setToken] = useState("");
  const [failure, setFailure] = useState(why);
  const attempt = (act: Promise<void>) => act.catch((e: unknown) => setFailure(e instanceof Failure ? e.message : String(e)));
  useEffect(() => {
    document.title = "Sign in · Yardarm";
    void attempt(providers().then(setKnown));
    // Who has signed in in another tab is let in here.
    const back = () => void (document.hidden || whoAmI());
    document.addEventListener("visibilitychange", back);
    return () => document.removeEventListener("visibilitychange", back);
  }, []);
  useEffect(() => setFailure(why), [why]);
  const submit = (e: SubmitEvent) => {
    e.preventDefault();
    setFailure("");
    void attempt(signIn({ token: token.trim() }));
  };
  return (
    <main class="signin" id="main">
      <span class="lockup">Yardarm</span>
      <h1>Sign in</h1>
      <p id="failure" class={failure ? "msg" : "sr"} role="alert">
        {failure}
      </p>
      {known.map((name) => (
        <button key={name} class="btn primary" onClick={() => void attempt(goToProvider(name))}>
          Sign in with {name}
        </button>
      ))}
      <form onSubmit={submit}>
        <label for="token">{known.length > 0 ? "Or with a token" : "Token"}</label>
        <input
          id="token"
          class="field-in"
          type="password"
          autocomplete="off"
          required
          value={token}
          aria-describedby="failure"
          onInput={(e) => setToken(e.currentTarget.value)}
        />
        <button class={`btn ${known.length > 0 ? "" : "primary"}`}>Sign in</button>
      </form>
      <p>An administrator makes one for you, which this hub then knows until it is revoked:</p>
      <Shell command="yardarm token create YOUR-NAME --role viewer" />
    </main>
  );
}
