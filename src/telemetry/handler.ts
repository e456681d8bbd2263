import type { RequestListener } from 'node:http'
import type { Logger } from 'pino'
import { CONTENT_TYPE, type Family, renderMetrics } from './exposition.ts'

/** Answers a Prometheus, on a listener of its own: what it tells is for the operator. */
export function createMetricsHandler(collect: () => Promise<Family[]>, log: Logger): RequestListener {
  return async (req, res) => {
    const path = req.url?.split('?')[0]
    if (path !== '/metrics' || (req.method !== 'GET' && req.method !== 'HEAD')) {
      res.writeHead(404, { 'content-type': 'text/plain' }).end('Metrics are at /metrics\n')
      return
    }
    try {
      const body = renderMetrics(await collect())
      res.writeHead(200, { 'content-type': CONTENT_TYPE, 'cache-control': 'no-store' }).end(body)
    } catch (error) {
      log.error({ err: error }, 'metrics.failed')
      res.writeHead(500).end()
    }
  }
}
