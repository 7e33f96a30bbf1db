import { ActRefused } from '../core/act-refused.ts';
import type { ControlAnswer } from '../core/lifecycle.ts';
import { LONGEST_TIMER_MS } from '../core/longest-timer.ts';
import type { GatewayEventKind } from '../core/view/agreed-view.ts';
import type { ActRunner, RequestedAct } from './act-runner.ts';
import type { ActsOptions, AdminServerOptions, Readers } from './admin-options.ts';
import type { Act } from './pool-acts.ts';
import type { AdminRoutes } from './route.ts';
import { actBody, GATEWAY_CHANGED, MAINTENANCE_FIELDS, STOP_FIELDS } from './schemas/acts.ts';
import { DURATION_EXPECTS } from './schemas/fields.ts';
import { CHANGE_REFUSALS, refusal } from './schemas/refusals.ts';
import { RELOAD_PREVIEW } from './schemas/reload.ts';

/** Changes of this gateway only, and what a reload would do. */
export function addGatewayRoutes(
  routes: AdminRoutes,
  {
    lifecycle,
    readers,
    state,
    previewReload,
    recordGatewayEvent,
  }: ActsOptions & Pick<AdminServerOptions, 'previewReload'>,
  runner: ActRunner,
): void {
  const run = async (
    kind: GatewayEventKind,
    requested: Omit<RequestedAct, 'act'> & { readonly act?: string; readonly to?: string },
    ask: (why: string) => Promise<ControlAnswer>,
  ) => {
    const { to = '', act = kind, ...rest } = requested;
    await runner.run({ ...rest, act }, async (made: Act) => {
      const answer = await ask(`${made.why} (${made.by})`);
      if (!answer.ok) throw new ActRefused(409, answer.message);
      await recordGatewayEvent({ ...made, kind, to });
    });
    return { state: state() };
  };
  const schema = { tags: ['gateway'] as const, response: { 200: GATEWAY_CHANGED, ...CHANGE_REFUSALS } };
  routes.post(
    '/maintenance',
    {
      schema: { ...schema, summary: 'begins or ends maintenance', body: actBody(MAINTENANCE_FIELDS) },
      config: { role: 'operator' },
    },
    async ({ body }) =>
      run(
        'maintenance',
        { act: `maintenance-${body.on ? 'on' : 'off'}`, to: body.on ? 'on' : 'off', body },
        (why) => lifecycle.maintain(body.on, why),
      ),
  );
  routes.post(
    '/stop',
    {
      schema: { ...schema, summary: 'soft stop, hard after `softTimeout`', body: actBody(STOP_FIELDS) },
      config: { role: 'admin' },
    },
    async ({ body }) => {
      const { softTimeout } = body;
      const timeout = softTimeout === undefined ? undefined : softTimeoutOf(softTimeout, readers);
      return run('stop', { body }, (why) => lifecycle.stop(why, timeout));
    },
  );
  routes.get(
    '/reload/preview',
    {
      schema: {
        summary: 'what a reload would change, and how many agents would move; or the problems of the file',
        tags: ['gateway'],
        response: { 200: RELOAD_PREVIEW, 409: refusal('this gateway cannot reload') },
      },
      config: { role: 'viewer' },
    },
    async () => previewReload(),
  );
  for (const [act, summary] of [
    ['restart', 'rolling restart'],
    ['reload', 'reads the configuration again'],
  ] as const) {
    routes.post(
      `/${act}`,
      { schema: { ...schema, summary, body: actBody({}) }, config: { role: 'admin' } },
      async ({ body }) => run(act, { body }, (why) => lifecycle[act](why)),
    );
  }
}

function softTimeoutOf(text: string, { duration }: Readers): number {
  const timeout = duration(text);
  if (timeout === undefined || timeout > LONGEST_TIMER_MS)
    throw new ActRefused(400, `softTimeout must be ${DURATION_EXPECTS}`);
  return timeout;
}
