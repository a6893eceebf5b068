#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// An agent that calls a tool with its own identity, and is sure whom it calls. Node 18 or later, no packages: the Workload API is
// one gRPC call, which HTTP/2 and thirty lines of protobuf can make.
//
// usage: writ run -as PATH -- node agent.mjs OWN-ID TOOL-ID URL
import http2 from 'node:http2'
import https from 'node:https'
import net from 'node:net'

const MESSAGE_MAX = 4 << 20

// {field number: [Buffer, ...]} of the fields that have a length; the others are passed over.
function fields(message) {
	const found = {}
	let at = 0
	const number = () => {
		let value = 0
		for (let shift = 0; shift < 32; shift += 7) {
			if (at >= message.length) throw new Error('a message of the Workload API is cut')
			const byte = message[at++]
			value += (byte & 0x7f) * 2 ** shift
			if (byte < 0x80) return value
		}
		throw new Error('a message of the Workload API has a number that is too long')
	}
	while (at < message.length) {
		const tag = number()
		if (tag % 8 === 0) {
			number()
			continue
		}
		const length = number()
		if (tag % 8 !== 2 || at + length > message.length) throw new Error('not a message of the Workload API')
		const key = Math.floor(tag / 8)
		found[key] = [...(found[key] ?? []), message.subarray(at, at + length)]
		at += length
	}
	return found
}

const pem = (der, what) => `-----BEGIN ${what}-----\n${der.toString('base64').match(/.{1,64}/g).join('\n')}\n-----END ${what}-----\n`

// Certificates stand one behind the other; each says how long it is.
function certificates(der) {
	let text = ''
	for (let at = 0; at < der.length;) {
		const length = der[at + 1] < 0x80 ? 2 + der[at + 1] : 4 + der.readUInt16BE(at + 2)
		text += pem(der.subarray(at, at + length), 'CERTIFICATE')
		at += length
	}
	return text
}

function svids(message) {
	return (fields(message)[1] ?? []).map((one) => {
		const f = fields(one)
		return { id: f[1][0].toString(), cert: certificates(f[2][0]), key: pem(f[3][0], 'PRIVATE KEY'), ca: certificates(f[4][0]) }
	})
}

// Calls onSvids with what holds now, and again at each change, until close() is called.
export function watch(onSvids, onError) {
	const address = new URL(process.env.SPIFFE_ENDPOINT_SOCKET ?? 'unix:///run/writ/agent/public/api.sock')
	const session = http2.connect('http://localhost', { createConnection: () => net.connect(address.pathname) })
	session.on('error', onError)
	const call = session.request({
		':method': 'POST', ':path': '/SpiffeWorkloadAPI/FetchX509SVID', 'content-type': 'application/grpc', te: 'trailers',
		'workload.spiffe.io': 'true',
	})
	const ended = (headers) => {
		if (headers['grpc-status'] !== undefined)
			onError(new Error(decodeURIComponent(headers['grpc-message'] ?? `status ${headers['grpc-status']}`)))
	}
	let bytes = Buffer.alloc(0)
	call.on('response', ended)
	call.on('trailers', ended)
	call.on('error', onError)
	call.on('data', (part) => {
		bytes = Buffer.concat([bytes, part])
		while (bytes.length >= 5 && bytes.length >= 5 + bytes.readUInt32BE(1)) {
			const length = 5 + bytes.readUInt32BE(1)
			onSvids(svids(bytes.subarray(5, length)))
			bytes = bytes.subarray(length)
		}
		if (bytes.length > MESSAGE_MAX) session.destroy(new Error('the Workload API sends too much'))
	})
	call.end(Buffer.alloc(5)) // an empty request
	return { close: () => session.destroy() }
}

// Options for https.request, tls.connect or an undici Agent's connect. Ask anew for each connection: certificates live minutes.
export function tlsOptions(svid, toolId) {
	return {
		cert: svid.cert, key: svid.key, ca: svid.ca, minVersion: 'TLSv1.3', rejectUnauthorized: true,
		// In place of the host name: the SPIFFE ID, before the first byte of a request is sent.
		checkServerIdentity: (host, cert) =>
			cert.subjectaltname === `URI:${toolId}` ? undefined : new Error(`the tool is ${cert.subjectaltname}, not ${toolId}`),
	}
}

function main([ownId, toolId, url]) {
	if (!url) throw new Error('usage: agent.mjs OWN-ID TOOL-ID URL')
	const fail = (error) => {
		console.error(`agent.mjs: ${error.message}`)
		process.exit(1)
	}
	let called = false
	const watcher = watch((list) => {
		const own = list.find((s) => s.id === ownId)
		if (!own) return fail(new Error(`this process is not ${ownId}, but ${list.map((s) => s.id).join(', ')}`))
		if (called) return
		called = true
		https.get(url, { ...tlsOptions(own, toolId), agent: false, timeout: 10000 }, (answer) => {
			let text = ''
			answer.on('data', (part) => { text += part })
			answer.on('end', () => {
				console.log(`${ownId} -> ${toolId}: ${answer.statusCode} ${text.trim()}`)
				watcher.close()
			})
		}).on('error', fail)
	}, fail)
}

main(process.argv.slice(2))
