/** Whether there is time for what takes minutes: `NIGHTLY=true .ci/run`, or `NIGHTLY=true npx vitest run …`. */
export const nightly = process.env.NIGHTLY === 'true'
