import { readFileSync, writeFileSync } from 'node:fs';
import { GENERATED, regenerated } from './generated-docs.ts';

for (const { page } of Object.values(GENERATED)) writeFileSync(page, regenerated(readFileSync(page, 'utf8')));
