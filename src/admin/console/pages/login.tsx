import { useEffect, useRef, useState } from 'preact/hooks';
import type { Problem } from '../data/client.ts';
import type { Session } from '../data/contract.ts';
import { logIn, session } from '../data/session.ts';
import { useStore } from '../data/store.ts';
import { ProblemText } from '../parts/problem.tsx';

/** Asks for user and password, or says why that would not help. The page behind it opens after the log-in. */
export function Login({ current }: { readonly current: Session }) {
  const { hasEnded, endedUser } = useStore(session);
  useEffect(() => {
    document.title = 'Log in – ici-gateway';
  }, []);
  return (
    <main id="main" class="login" data-testid="page-login">
      <h1>ici-gateway</h1>
      {hasEnded && <p role="status">Your session has ended. Log in again to go on where you were.</p>}
      {current.loginPossible ? <LoginForm lastUser={endedUser} /> : <NoUsers />}
    </main>
  );
}

function LoginForm({ lastUser }: { readonly lastUser: string }) {
  const [problem, setProblem] = useState<Problem>();
  const [isSending, setSending] = useState(false);
  const [user, setUser] = useState(lastUser);
  const [password, setPassword] = useState('');
  const first = useRef<HTMLInputElement>(null);
  const secret = useRef<HTMLInputElement>(null);
  useEffect(() => (lastUser === '' ? first : secret).current?.focus(), [lastUser]);
  const send = async (): Promise<void> => {
    if (isSending) return;
    setSending(true);
    setProblem(undefined);
    const answer = await logIn(user, password);
    setSending(false);
    if (answer.ok) return;
    setProblem(answer.problem.status === 401 ? { ...answer.problem, next: 'Try again.' } : answer.problem);
    setPassword('');
    secret.current?.focus();
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <label>
        User
        <input
          ref={first}
          data-testid="login-user"
          autocomplete="username"
          required
          value={user}
          onInput={({ currentTarget }) => setUser(currentTarget.value)}
        />
      </label>
      <label>
        Password
        <input
          ref={secret}
          data-testid="login-password"
          type="password"
          autocomplete="current-password"
          required
          value={password}
          onInput={({ currentTarget }) => setPassword(currentTarget.value)}
        />
      </label>
      {problem !== undefined && (
        <div role="alert" data-testid="login-problem">
          <ProblemText problem={problem} />
        </div>
      )}
      <button type="submit" class="main" data-testid="login-ok" disabled={isSending}>
        {isSending ? 'Logging in …' : 'Log in'}
      </button>
    </form>
  );
}

function NoUsers() {
  return (
    <>
      <p>
        <strong>This gateway has no users, so nothing is shown here.</strong> Without users it answers on the
        machine itself only.
      </p>
      <p>
        Make a line with <code>ici-gateway hash-password USER --role operator</code>, put it into a file, and
        name the file in the configuration: <code>admin.passwordFile</code>. Then reload.
      </p>
    </>
  );
}
