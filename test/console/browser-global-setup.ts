import { chromium } from 'playwright-core';
import type {} from 'vitest';
import type { TestProject } from 'vitest/node';
import { chromiumOptions } from '../support/chromium.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    browserUrl: string;
  }
}

/** One Chromium for all files of a project; each test has its own context, with its own cookies. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await chromium.launchServer(chromiumOptions());
  project.provide('browserUrl', server.wsEndpoint());
  return () => server.close();
}
