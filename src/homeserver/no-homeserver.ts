import type { Homeserver } from './client.ts'

/** Stands in where no homeserver is configured: everything else of the service works without one. */
export function createNoHomeserver(): Homeserver {
  const nothing = async () => {}
  return {
    configured: false,
    queryUser: async () => undefined,
    isLocalpartAvailable: async () => ({ available: true }),
    provisionUser: async () => 'updated',
    upsertDevice: nothing,
    updateDeviceDisplayName: nothing,
    deleteDevice: nothing,
    syncDevices: nothing,
    setDisplayName: nothing,
    unsetDisplayName: nothing,
    deleteUser: nothing,
    reactivateUser: nothing,
    allowCrossSigningReset: nothing,
  }
}
