import { useEffect, useState } from "preact/hooks";
import { Failure } from "../api/client";
import { signIn } from "../api/session";
import { Shell } from "../parts/Note";

/** SignIn takes a token, or the code of a link. The page that was asked for stays in the URL, and is shown after it. */
export function SignIn() {
  const [token, setToken] = useState("");
  const [failure, setFailure] = useState("");
  const enter = async (credential: { token: string } | { code: string }) => {
    try {
      await signIn(credential);
    } catch (e) {
      setFailure(e instanceof Failure ? e.message : String(e));
    }
  };
  useEffect(() => {
    document.title = "Sign in · Yardarm";
    const code = new URLSearchParams(location.hash.slice(1)).get("code");
    if (!code) return;
    history.replaceState(null, "", location.pathname + location.search);
    void enter({ code });
  }, []);
  const submit = (e: SubmitEvent) => {
    e.preventDefault();
    setFailure("");
    void enter({ token: token.trim() });
  };
  return (
    <main class="signin" id="main">
      <span class="lockup">Yardarm</span>
      <h1>Sign in</h1>
      <form onSubmit={submit}>
        <label for="token">Token</label>
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
        <button class="btn primary">Sign in</button>
        <p id="failure" class={failure ? "msg" : "sr"} role="alert">
          {failure}
        </p>
      </form>
      <p>An administrator makes one for you, which this hub then knows until it is revoked:</p>
      <Shell command="yardarm token create YOUR-NAME --role viewer" />
    </main>
  );
}
