import type { Browser } from 'playwright-core';
import { chromium } from 'playwright-core';
import { inject } from 'vitest';

/** The browser that the run has started. */
export function openBrowser(): Promise<Browser> {
  return chromium.connect(inject('browserUrl'));
}
